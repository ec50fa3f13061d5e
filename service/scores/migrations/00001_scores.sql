-- mirubato:phase expand
-- +goose Up
create table scores (
    id               uuid        primary key default gen_random_uuid(),
    owner_id         text        not null check (char_length(owner_id) between 1 and 128),
    title            text        not null check (char_length(title) between 1 and 255),
    composer         text        check (char_length(composer) <= 255),
    opus             text        check (char_length(opus) <= 64),
    instrument       text        check (instrument in ('piano', 'guitar', 'both')),
    difficulty       text        check (difficulty in ('beginner', 'intermediate', 'advanced')),
    difficulty_level smallint    check (difficulty_level between 1 and 10),
    style_period     text        check (char_length(style_period) <= 32),
    key_signature    text        check (char_length(key_signature) <= 32),
    time_signature   text        check (char_length(time_signature) <= 16),
    tempo_marking    text        check (char_length(tempo_marking) <= 64),
    duration_seconds integer     check (duration_seconds between 1 and 86400),
    description      text        check (char_length(description) <= 5000),
    tags             text[]      not null default '{}' check (cardinality(tags) <= 50),
    metadata         jsonb       not null default '{}' check (jsonb_typeof(metadata) = 'object'),
    status           text        not null default 'active' check (status in ('active', 'inactive', 'archived')),
    visibility       text        not null default 'private' check (visibility in ('private', 'unlisted', 'public')),
    version          bigint      not null default 1 check (version >= 1),
    created_at       timestamptz not null default now(),
    updated_at       timestamptz not null default now()
);

-- A list is the owner's part and the public part merged. Each part is read in the order in which it is shown, so that
-- a page costs what it holds and not what the library holds.
create index scores_by_owner on scores (owner_id, created_at desc, id desc);
create index scores_public on scores (created_at desc, id desc) where visibility = 'public';
create index scores_public_by_title on scores (lower(title), id) where visibility = 'public';
create index scores_public_by_composer on scores (lower(composer), created_at desc, id desc) where visibility = 'public';
