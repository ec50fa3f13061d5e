-- mirubato:phase expand
-- +goose Up
-- What the owner of a score notes for nobody else, encrypted for that score and owner by the key that key_id names.
create table score_notes (
    score_id   uuid        primary key references scores (id) on delete cascade,
    key_id     bigint      not null check (key_id between 0 and 4294967295),
    ciphertext bytea       not null check (octet_length(ciphertext) between 34 and 131072),
    version    bigint      not null default 1 check (version >= 1),
    updated_at timestamptz not null default now()
);
