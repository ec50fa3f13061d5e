-- mirubato:phase expand
-- +goose NO TRANSACTION
-- +goose Up
create index concurrently score_cards_popular on score_cards ((favorite_count * 10 + read_count) desc, score_id)
    where visibility = 'public';
