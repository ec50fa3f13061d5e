-- mirubato:phase expand
-- +goose Up
-- A user who is disabled can neither log in nor go on with a session.
alter table users add column disabled_at timestamptz;
