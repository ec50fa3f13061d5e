-- mirubato:phase expand
-- +goose Up
-- What of each limit has been handed out to the processes of the fleet. Unlogged: it is worth nothing after a crash, and no write to it
-- waits for the disk. Keys are hashes, so that no addresses of people are stored.
create unlogged table rate_limits (
    key     bytea       not null check (octet_length(key) = 16),
    ends_at timestamptz not null,
    taken   integer     not null check (taken >= 0),
    granted integer     not null check (granted >= 0),
    primary key (key)
) with (fillfactor = 50);
create index rate_limits_by_end on rate_limits (ends_at);
