-- mirubato:phase expand
-- +goose Up
-- Cards that everybody sees show in how many collections they are, so that lists of them no longer hold when that changes.
-- +goose StatementBegin
create or replace function score_cards_collected(ids uuid[]) returns void language plpgsql as $$
begin
    perform from score_cards where score_id = any(ids) order by score_id for no key update;
    update score_cards set collection_count = (
        select count(*) from collection_members m join collections c on c.id = m.collection_id
        where m.score_id = score_cards.score_id and c.visibility = 'public')
    where score_id = any(ids);
    if exists (select from score_cards where score_id = any(ids) and visibility <> 'private') then
        insert into cache_events (tags) values (array['scores:visible']);
    end if;
end;
$$;
-- +goose StatementEnd
