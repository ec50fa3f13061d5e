-- mirubato:phase expand
-- +goose Up
create table collections (
    id          uuid        primary key,
    owner_id    text        not null check (char_length(owner_id) between 1 and 128),
    name        text        not null check (char_length(name) between 1 and 255),
    description text        check (char_length(description) <= 5000),
    visibility  text        not null default 'private' check (visibility in ('private', 'unlisted', 'public')),
    is_default  boolean     not null default false,
    featured_at timestamptz,
    version     bigint      not null default 1 check (version >= 1),
    created_at  timestamptz not null default now(),
    updated_at  timestamptz not null default now()
);
create index collections_by_owner on collections (owner_id, created_at desc, id desc);
create index collections_public on collections (created_at desc, id desc) where visibility = 'public';
create index collections_featured on collections (featured_at desc, id desc) where featured_at is not null;
create unique index collections_default on collections (owner_id) where is_default;

create table collection_members (
    collection_id uuid        not null references collections (id) on delete cascade,
    score_id      uuid        not null references scores (id) on delete cascade,
    added_at      timestamptz not null default now(),
    primary key (collection_id, score_id)
);
create index collection_members_by_score on collection_members (score_id);

create table collection_shares (
    collection_id uuid        not null references collections (id) on delete cascade,
    user_id       text        not null check (char_length(user_id) between 1 and 128),
    created_at    timestamptz not null default now(),
    primary key (collection_id, user_id)
);
create index collection_shares_by_user on collection_shares (user_id);
