-- mirubato:phase expand
-- +goose Up
ALTER TABLE no_such_table ADD COLUMN broken text;
