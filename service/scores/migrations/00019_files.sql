-- mirubato:phase expand
-- +goose Up
-- What is in the storage, by content. Whoever begins to refer to a content, or removes it, locks its row first; so none is removed
-- that somebody is about to refer to.
create table blobs (
    sha256     bytea       primary key check (octet_length(sha256) = 32),
    size       bigint      not null check (size > 0),
    claimed_at timestamptz not null default now()
);
create index blobs_by_claim on blobs (claimed_at);

-- A version is one file of a score. Its owner is the owner of the score, against whose quota it counts.
create table score_versions (
    id          uuid        primary key,
    score_id    uuid        not null references scores (id) on delete cascade,
    owner_id    text        not null check (char_length(owner_id) between 1 and 128),
    number      integer     not null check (number >= 1),
    format      text        not null check (char_length(format) between 1 and 32),
    file_name   text        not null check (char_length(file_name) between 1 and 255),
    size        bigint      not null check (size > 0),
    sha256      bytea       not null references blobs (sha256),
    task_id     uuid,
    state       text        not null default 'pending' check (state in ('pending', 'completed', 'failed')),
    reason      text        check (char_length(reason) <= 1000),
    analysis    jsonb,
    incipit     text,
    created_at  timestamptz not null default now(),
    analysed_at timestamptz,
    unique (score_id, number),
    unique (score_id, sha256)
);
create index score_versions_by_content on score_versions (sha256);

-- What each owner has in the storage.
create table file_usage (
    owner_id text    primary key,
    files    integer not null default 0 check (files >= 0),
    bytes    bigint  not null default 0 check (bytes >= 0)
);

-- +goose StatementBegin
create function score_versions_count() returns trigger language plpgsql as $$
begin
    if tg_op = 'INSERT' then
        insert into file_usage as u (owner_id, files, bytes) values (new.owner_id, 1, new.size)
        on conflict (owner_id) do update set files = u.files + 1, bytes = u.bytes + excluded.bytes;
    else
        update file_usage set files = files - 1, bytes = bytes - old.size where owner_id = old.owner_id;
    end if;
    return null;
end;
$$;
-- +goose StatementEnd
create trigger score_versions_count after insert or delete on score_versions
    for each row execute function score_versions_count();

-- What the newest file that could be read tells about the score.
alter table scores add column analysis jsonb;
