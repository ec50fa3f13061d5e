-- mirubato:phase expand
-- +goose Up
-- A card is the row of a score that lists and searches read: what they show, without the long fields, and the words to
-- find it by. A trigger writes it in the transaction that writes the score, so that it is right whichever release writes.
create table score_cards (
    score_id         uuid        primary key references scores (id) on delete cascade,
    owner_id         text        not null,
    title            text        not null,
    composer         text,
    opus             text,
    instrument       text,
    difficulty       text,
    difficulty_level smallint,
    style_period     text,
    key_signature    text,
    duration_seconds integer,
    tags             text[]      not null,
    status           text        not null,
    visibility       text        not null,
    version          bigint      not null,
    created_at       timestamptz not null,
    updated_at       timestamptz not null,
    search           tsvector    not null
);

-- The same indexes as on scores, for the same reason: each part of a list is read in the order in which it is shown.
create index score_cards_by_owner on score_cards (owner_id, created_at desc, score_id desc);
create index score_cards_public on score_cards (created_at desc, score_id desc) where visibility = 'public';
create index score_cards_public_by_title on score_cards (lower(title), score_id) where visibility = 'public';
create index score_cards_public_by_composer on score_cards (lower(composer), created_at desc, score_id desc)
    where visibility = 'public';
create index score_cards_search on score_cards using gin (search);

-- score_words are the words of a text in the form in which they are compared: without case, accents and punctuation.
-- Letters that do not decompose into a letter and an accent are spelled out.
-- +goose StatementBegin
create function score_words(input text) returns tsvector language sql immutable strict parallel safe
return to_tsvector('simple'::regconfig, translate(
    replace(replace(replace(
        translate(lower(regexp_replace(normalize(input, NFKD), '[\u0300-\u036f]+', '', 'g')), 'øØłŁđĐıÆŒ', 'oOlLdDiæœ'),
        'æ', 'ae'), 'œ', 'oe'), 'ß', 'ss'),
    '-._/\:+''’`"&#~%?=!@,;<>', '                       '));
-- +goose StatementEnd

-- score_query asks for all words of a text, each as the beginning of one. It is null for a text without words.
-- +goose StatementBegin
create function score_query(input text) returns tsquery language sql immutable strict parallel safe
return (select string_agg('''' || lexeme || ''':*', ' & ')::tsquery from unnest(score_words(input)));
-- +goose StatementEnd

-- score_document weighs where a word stands: title before composer and opus before the rest.
-- +goose StatementBegin
create function score_document(title text, composer text, opus text, tags text[], description text) returns tsvector
language sql stable parallel safe
return setweight(score_words(title), 'A')
    || setweight(score_words(coalesce(composer, '') || ' ' || coalesce(opus, '')), 'B')
    || setweight(score_words(array_to_string(tags, ' ') || ' ' || coalesce(description, '')), 'C');
-- +goose StatementEnd

-- +goose StatementBegin
create function score_cards_follow() returns trigger language plpgsql as $$
begin
    insert into score_cards (score_id, owner_id, title, composer, opus, instrument, difficulty, difficulty_level,
        style_period, key_signature, duration_seconds, tags, status, visibility, version, created_at, updated_at, search)
    values (new.id, new.owner_id, new.title, new.composer, new.opus, new.instrument, new.difficulty,
        new.difficulty_level, new.style_period, new.key_signature, new.duration_seconds, new.tags, new.status,
        new.visibility, new.version, new.created_at, new.updated_at,
        score_document(new.title, new.composer, new.opus, new.tags, new.description))
    on conflict (score_id) do update set owner_id = excluded.owner_id, title = excluded.title,
        composer = excluded.composer, opus = excluded.opus, instrument = excluded.instrument,
        difficulty = excluded.difficulty, difficulty_level = excluded.difficulty_level,
        style_period = excluded.style_period, key_signature = excluded.key_signature,
        duration_seconds = excluded.duration_seconds, tags = excluded.tags, status = excluded.status,
        visibility = excluded.visibility, version = excluded.version, created_at = excluded.created_at,
        updated_at = excluded.updated_at, search = excluded.search;
    return null;
end;
$$;
-- +goose StatementEnd

create trigger score_cards_follow after insert or update on scores
    for each row execute function score_cards_follow();
