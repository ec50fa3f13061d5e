-- mirubato:phase expand
-- +goose Up
-- What follows from a change of scores is done once for each statement and no longer for each row, since what begins and ends a statement of
-- a trigger costs more than a row in it. The functions keep their names and what they do. They are replaced, and the triggers with them, in
-- one transaction, so every statement of any release meets either all of the old ones or all of the new ones.

-- Cards are written in the order of their IDs, in which everybody else locks them, so that two statements wait for each other instead of
-- deadlocking.
-- +goose StatementBegin
create or replace function score_cards_follow() returns trigger language plpgsql as $$
begin
    insert into score_cards (score_id, owner_id, title, composer, opus, instrument, difficulty, difficulty_level,
        style_period, key_signature, duration_seconds, tags, status, visibility, version, created_at, updated_at, search)
    select id, owner_id, title, composer, opus, instrument, difficulty, difficulty_level, style_period, key_signature,
        duration_seconds, tags, status, visibility, version, created_at, updated_at,
        score_document(title, composer, opus, tags, description)
    from changed order by id
    on conflict (score_id) do update set owner_id = excluded.owner_id, title = excluded.title,
        composer = excluded.composer, opus = excluded.opus, instrument = excluded.instrument,
        difficulty = excluded.difficulty, difficulty_level = excluded.difficulty_level,
        style_period = excluded.style_period, key_signature = excluded.key_signature,
        duration_seconds = excluded.duration_seconds, tags = excluded.tags, status = excluded.status,
        visibility = excluded.visibility, version = excluded.version, created_at = excluded.created_at,
        updated_at = excluded.updated_at, search = excluded.search;
    return null;
end;
$$;
-- +goose StatementEnd

-- News of a statement are in one row, or in several once they are many: whoever reads them holds a row in memory.
-- +goose StatementBegin
create or replace function scores_tell() returns trigger language plpgsql as $$
begin
    if tg_op = 'UPDATE' then
        insert into cache_events (tags)
        select array_agg(distinct tag) from (
            select 'score:' || id, row_number() over () / 1000 from changed
            union all select card_tag(owner_id, visibility), row_number() over () / 1000 from changed
            union all select card_tag(owner_id, visibility), row_number() over () / 1000 from former) told (tag, part)
        group by part;
    else
        insert into cache_events (tags)
        select array_agg('score:' || id) || array_agg(distinct card_tag(owner_id, visibility))
        from (select id, owner_id, visibility, row_number() over () / 1000 as part from changed) told
        group by part;
    end if;
    return null;
end;
$$;
-- +goose StatementEnd

-- mirubato:acknowledge drop-trigger: the ones made below do the same
drop trigger score_cards_follow on scores;
-- mirubato:acknowledge drop-trigger: the ones made below do the same
drop trigger scores_tell on scores;

create trigger score_cards_follow_insert after insert on scores
    referencing new table as changed for each statement execute function score_cards_follow();
create trigger score_cards_follow_update after update on scores
    referencing new table as changed for each statement execute function score_cards_follow();
create trigger scores_tell_insert after insert on scores
    referencing new table as changed for each statement execute function scores_tell();
create trigger scores_tell_update after update on scores
    referencing new table as changed old table as former for each statement execute function scores_tell();
create trigger scores_tell_delete after delete on scores
    referencing old table as changed for each statement execute function scores_tell();
