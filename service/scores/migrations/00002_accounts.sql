-- mirubato:phase expand
-- +goose Up
create table users (
    id            uuid        primary key,
    email         text        not null check (char_length(email) between 3 and 254),
    role          text        not null check (role in ('user', 'teacher', 'admin')),
    password_hash text        not null,
    created_at    timestamptz not null default now(),
    updated_at    timestamptz not null default now()
);
create unique index users_by_email on users (lower(email));

-- A login begins a family; each refresh adds a token to it. Only the hash of a token is kept.
create table refresh_tokens (
    hash       bytea       primary key check (octet_length(hash) = 32),
    family     uuid        not null,
    user_id    uuid        not null references users (id) on delete cascade,
    parent     bytea,
    issued_at  timestamptz not null default now(),
    expires_at timestamptz not null,
    used_at    timestamptz,
    revoked_at timestamptz
);
create index refresh_tokens_by_family on refresh_tokens (family);
create index refresh_tokens_by_user on refresh_tokens (user_id);
create index refresh_tokens_by_parent on refresh_tokens (parent);
create index refresh_tokens_by_expiry on refresh_tokens (expires_at);

create table idempotency_keys (
    user_id      text        not null,
    route        text        not null,
    key          text        not null check (char_length(key) between 1 and 128),
    request_hash bytea       not null check (octet_length(request_hash) = 32),
    status       smallint,
    header       jsonb,
    body         bytea,
    claimed_at   timestamptz not null default now(),
    expires_at   timestamptz not null,
    primary key (user_id, route, key)
);
create index idempotency_keys_by_expiry on idempotency_keys (expires_at);

create table audit_log (
    id         uuid        primary key,
    at         timestamptz not null default now(),
    actor_id   text        not null,
    actor_role text        not null,
    action     text        not null check (char_length(action) between 1 and 64),
    target     text        not null,
    request_id text        not null,
    details    jsonb       not null default '{}' check (jsonb_typeof(details) = 'object')
);
create index audit_log_by_time on audit_log (at desc, id desc);
