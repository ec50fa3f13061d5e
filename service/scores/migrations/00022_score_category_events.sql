-- mirubato:phase expand
-- +goose Up
-- Cards show the categories of their scores. The service tells of a change to them by the version of the score; this tells of it whoever
-- makes it. What changes those of many scores at once is about a category.
-- +goose StatementBegin
create function score_categories_tell() returns trigger language plpgsql as $$
declare
    ids uuid[] := array(select distinct score_id from changed);
    told text[] := card_tags(ids);
begin
    if told is not null then
        insert into cache_events (tags)
        values (told || case when cardinality(ids) = 1 then 'score:' || ids[1] else 'categories' end);
    end if;
    return null;
end;
$$;
-- +goose StatementEnd
create trigger score_categories_tell_insert after insert on score_categories
    referencing new table as changed for each statement execute function score_categories_tell();
create trigger score_categories_tell_delete after delete on score_categories
    referencing old table as changed for each statement execute function score_categories_tell();
