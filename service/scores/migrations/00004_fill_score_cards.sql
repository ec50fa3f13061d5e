-- mirubato:phase expand
-- +goose NO TRANSACTION
-- +goose Up
-- Scores of before the trigger get their cards, a thousand in a transaction: deleting one of a batch waits until it
-- ends. Scores that are written meanwhile have theirs from the trigger, and a run that was cut off is simply repeated.
-- mirubato:acknowledge dynamic-sql: it inserts into score_cards only, in batches that are committed one by one
-- +goose StatementBegin
do $$
declare
    last uuid := '00000000-0000-0000-0000-000000000000';
    batch uuid[];
begin
    loop
        batch := array(select id from scores where id > last order by id limit 1000);
        exit when cardinality(batch) = 0;
        insert into score_cards (score_id, owner_id, title, composer, opus, instrument, difficulty, difficulty_level,
            style_period, key_signature, duration_seconds, tags, status, visibility, version, created_at, updated_at,
            search)
        select s.id, s.owner_id, s.title, s.composer, s.opus, s.instrument, s.difficulty, s.difficulty_level,
            s.style_period, s.key_signature, s.duration_seconds, s.tags, s.status, s.visibility, s.version,
            s.created_at, s.updated_at, score_document(s.title, s.composer, s.opus, s.tags, s.description)
        from scores s where s.id = any(batch) order by s.id for key share
        on conflict (score_id) do nothing;
        last := batch[cardinality(batch)];
        commit;
    end loop;
end;
$$;
-- +goose StatementEnd
