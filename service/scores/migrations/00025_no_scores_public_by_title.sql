-- mirubato:phase expand
-- +goose NO TRANSACTION
-- +goose Up
-- Lists read cards, which have this index as well; nothing reads it here any more, and what writes scores writes it.
drop index concurrently if exists scores_public_by_title;
