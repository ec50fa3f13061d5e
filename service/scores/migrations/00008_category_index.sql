-- mirubato:phase expand
-- +goose NO TRANSACTION
-- +goose Up
create index concurrently score_cards_by_category on score_cards using gin (category_ids);
