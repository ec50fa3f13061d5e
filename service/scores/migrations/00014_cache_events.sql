-- mirubato:phase expand
-- +goose Up
-- What is written here tells every process which of the values that it keeps in memory no longer hold. Triggers write it in the
-- transaction of the change, so that it is told whichever release writes, and exactly if the change is made. A row is read
-- by its transaction, since numbers are given in another order than that in which transactions end. Rows live for minutes.
create table cache_events (
    xid  xid8   not null default pg_current_xact_id(),
    tags text[] not null
);
create index cache_events_by_xid on cache_events (xid);

-- Cards of scores that are not private may stand in lists that everybody sees, with their categories and how many favor them.
-- +goose StatementBegin
create function scores_tell() returns trigger language plpgsql as $$
declare
    changed text[] := array['score:' || coalesce(new.id, old.id)];
begin
    if old.visibility <> 'private' or new.visibility <> 'private' then
        changed := changed || 'scores:visible'::text;
    end if;
    insert into cache_events (tags) values (changed);
    return null;
end;
$$;
-- +goose StatementEnd
create trigger scores_tell after insert or update or delete on scores for each row execute function scores_tell();

-- +goose StatementBegin
create function categories_tell() returns trigger language plpgsql as $$
begin
    insert into cache_events (tags) values (array['categories', 'scores:visible']);
    return null;
end;
$$;
-- +goose StatementEnd
create trigger categories_tell after insert or update or delete on categories
    for each row execute function categories_tell();

-- A score that is deleted takes its favorites along in one statement, which is often about none.
-- +goose StatementBegin
create function favorites_tell() returns trigger language plpgsql as $$
begin
    if exists (select from changed) then
        insert into cache_events (tags) values (array['scores:visible']);
    end if;
    return null;
end;
$$;
-- +goose StatementEnd
create trigger favorites_tell_insert after insert on favorites
    referencing new table as changed for each statement execute function favorites_tell();
create trigger favorites_tell_delete after delete on favorites
    referencing old table as changed for each statement execute function favorites_tell();

-- +goose StatementBegin
create function collections_tell() returns trigger language plpgsql as $$
declare
    changed text[] := array['collection:' || coalesce(new.id, old.id)];
begin
    if old.visibility = 'public' or new.visibility = 'public' then
        changed := changed || 'collections:public'::text;
    end if;
    -- Cards show in how many public collections they are.
    if coalesce(old.visibility = 'public', false) <> coalesce(new.visibility = 'public', false) then
        changed := changed || 'scores:visible'::text;
    end if;
    insert into cache_events (tags) values (changed);
    return null;
end;
$$;
-- +goose StatementEnd
create trigger collections_tell after insert or update or delete on collections
    for each row execute function collections_tell();

-- What is in a collection and who may read it.
-- +goose StatementBegin
create function collection_contents_tell() returns trigger language plpgsql as $$
begin
    insert into cache_events (tags)
    select array_agg(distinct 'collection:' || collection_id)
        || case when exists (select from collections where visibility = 'public' and id in (select collection_id from changed))
            then array['scores:visible'] else '{}' end
    from changed having count(*) > 0;
    return null;
end;
$$;
-- +goose StatementEnd
create trigger collection_members_tell_insert after insert on collection_members
    referencing new table as changed for each statement execute function collection_contents_tell();
create trigger collection_members_tell_delete after delete on collection_members
    referencing old table as changed for each statement execute function collection_contents_tell();
create trigger collection_shares_tell_insert after insert on collection_shares
    referencing new table as changed for each statement execute function collection_contents_tell();
create trigger collection_shares_tell_delete after delete on collection_shares
    referencing old table as changed for each statement execute function collection_contents_tell();
