-- mirubato:phase expand
-- +goose Up
-- Imports that are done after they were taken: where the file lies, how many of its lines are done, and what they did. Whoever does some
-- locks the row first and moves it on in the same transaction, so that each line is done once, whichever process is killed when. A row goes
-- with the end of its import.
create table score_imports (
    id         uuid        primary key,
    owner_id   text        not null check (char_length(owner_id) between 1 and 128),
    format     text        not null check (format in ('jsonl', 'csv')),
    size       bigint      not null check (size > 0),
    sha256     bytea       not null references blobs (sha256),
    done       integer     not null default 0 check (done >= 0),
    created    integer     not null default 0,
    updated    integer     not null default 0,
    unchanged  integer     not null default 0,
    refused    integer     not null default 0,
    created_at timestamptz not null default now()
);
create index score_imports_by_content on score_imports (sha256);
create index score_imports_by_owner on score_imports (owner_id);
create index score_imports_by_time on score_imports (created_at);

-- The first lines that were refused, and why.
create table score_import_refusals (
    import_id uuid    not null references score_imports (id) on delete cascade,
    line      integer not null,
    told      jsonb   not null,
    primary key (import_id, line)
);
