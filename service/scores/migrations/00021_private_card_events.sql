-- mirubato:phase expand
-- +goose Up
-- Lists that hold a reader's own scores are kept as well. Each card has one tag that such lists carry: scores:visible, or scores:of:OWNER
-- as long as it is private. Whatever changes a card tells the tag that it had and the one that it has. The releases before keep
-- nothing that carries the new tag, and pass it over.

-- +goose StatementBegin
create function card_tag(owner_id text, visibility text) returns text language sql immutable parallel safe
return case when visibility = 'private' then 'scores:of:' || owner_id when visibility is not null then 'scores:visible' end;
-- +goose StatementEnd

-- card_tags are the tags of cards, each once; null if none of them is there.
-- +goose StatementBegin
create function card_tags(ids uuid[]) returns text[] language sql stable parallel safe
return (select array_agg(distinct card_tag(owner_id, visibility)) from score_cards where score_id = any(ids));
-- +goose StatementEnd

-- +goose StatementBegin
create or replace function scores_tell() returns trigger language plpgsql as $$
declare
    before text := card_tag(old.owner_id, old.visibility);
    after text := card_tag(new.owner_id, new.visibility);
begin
    insert into cache_events (tags)
    values (array_remove(array['score:' || coalesce(new.id, old.id), before, nullif(after, before)], null));
    return null;
end;
$$;
-- +goose StatementEnd

-- The cards are locked by now, since their numbers were changed before this runs: whoever changes their visibility waits, or was waited for.
-- A score that is deleted takes its favorites along in one statement, which is often about none.
-- +goose StatementBegin
create or replace function favorites_tell() returns trigger language plpgsql as $$
declare
    told text[] := card_tags(array(select score_id from changed));
begin
    if told is not null then
        insert into cache_events (tags) values (told);
    end if;
    return null;
end;
$$;
-- +goose StatementEnd

-- +goose StatementBegin
create or replace function score_cards_collected(ids uuid[]) returns void language plpgsql as $$
declare
    told text[];
begin
    perform from score_cards where score_id = any(ids) order by score_id for no key update;
    update score_cards set collection_count = (
        select count(*) from collection_members m join collections c on c.id = m.collection_id
        where m.score_id = score_cards.score_id and c.visibility = 'public')
    where score_id = any(ids);
    told := card_tags(ids);
    if told is not null then
        insert into cache_events (tags) values (told);
    end if;
end;
$$;
-- +goose StatementEnd
