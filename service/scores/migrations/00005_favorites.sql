-- mirubato:phase expand
-- +goose Up
create table favorites (
    user_id    text        not null check (char_length(user_id) between 1 and 128),
    score_id   uuid        not null references scores (id) on delete cascade,
    created_at timestamptz not null default now(),
    primary key (user_id, score_id)
);
create index favorites_by_user on favorites (user_id, created_at desc, score_id desc);
create index favorites_by_score on favorites (score_id);

-- How popular a score is. favorite_count follows the favorites; read_count is written in batches by those who serve reads.
alter table score_cards
    add column favorite_count integer not null default 0,
    add column read_count     bigint  not null default 0;

-- +goose StatementBegin
create function favorites_count() returns trigger language plpgsql as $$
begin
    if tg_op = 'INSERT' then
        update score_cards set favorite_count = favorite_count + 1 where score_id = new.score_id;
    else
        update score_cards set favorite_count = favorite_count - 1 where score_id = old.score_id;
    end if;
    return null;
end;
$$;
-- +goose StatementEnd

create trigger favorites_count after insert or delete on favorites
    for each row execute function favorites_count();
