-- mirubato:phase expand
-- +goose Up
-- In how many public collections a score is. Others do not count, since the number would tell that they exist.
alter table score_cards add column collection_count integer not null default 0;

-- score_cards_collected writes the numbers on the cards of scores. The cards are locked first, by a statement of its own: the
-- second then sees what those did who had the lock before.
-- +goose StatementBegin
create function score_cards_collected(ids uuid[]) returns void language plpgsql as $$
begin
    perform from score_cards where score_id = any(ids) order by score_id for no key update;
    update score_cards set collection_count = (
        select count(*) from collection_members m join collections c on c.id = m.collection_id
        where m.score_id = score_cards.score_id and c.visibility = 'public')
    where score_id = any(ids);
end;
$$;
-- +goose StatementEnd

-- Whoever adds or takes waits for those who change the visibility of the same collection, and the other way round; each then
-- counts what the other did.
-- +goose StatementBegin
create function collection_members_count() returns trigger language plpgsql as $$
begin
    perform from collections where id in (select collection_id from changed) order by id for share;
    perform score_cards_collected(array(select distinct score_id from changed));
    return null;
end;
$$;
-- +goose StatementEnd

create trigger collection_members_added after insert on collection_members
    referencing new table as changed for each statement execute function collection_members_count();
create trigger collection_members_taken after delete on collection_members
    referencing old table as changed for each statement execute function collection_members_count();

-- +goose StatementBegin
create function collections_count() returns trigger language plpgsql as $$
begin
    perform score_cards_collected(array(select score_id from collection_members where collection_id = new.id));
    return null;
end;
$$;
-- +goose StatementEnd

create trigger collections_count after update of visibility on collections
    for each row when ((new.visibility = 'public') <> (old.visibility = 'public')) execute function collections_count();

-- mirubato:acknowledge backfill-with-ddl: only scores in public collections are counted, and there were few of those
update score_cards set collection_count = counted.n
from (
    select m.score_id, count(*) as n from collection_members m join collections c on c.id = m.collection_id
    where c.visibility = 'public' group by m.score_id
) counted
where score_cards.score_id = counted.score_id;
