-- mirubato:phase expand
-- +goose NO TRANSACTION
-- +goose Up
create index concurrently users_by_creation on users (created_at desc, id desc);
