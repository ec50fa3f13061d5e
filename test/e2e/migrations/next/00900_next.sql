-- mirubato:phase expand
-- +goose Up
ALTER TABLE scores ADD COLUMN next_release text;
