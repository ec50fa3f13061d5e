-- mirubato:phase expand
-- +goose Up
alter table users add column disabled_at timestamptz;
