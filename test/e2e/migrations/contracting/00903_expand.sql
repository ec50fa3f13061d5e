-- mirubato:phase expand
-- +goose Up
ALTER TABLE scores ADD COLUMN replacement text;
