-- mirubato:phase expand
-- +goose Up
create table categories (
    id          uuid        primary key,
    name        text        not null unique check (char_length(name) between 1 and 128),
    slug        text        not null unique check (slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$' and char_length(slug) <= 128),
    description text        check (char_length(description) <= 1000),
    parent_id   uuid        references categories (id),
    position    integer     not null default 0,
    version     bigint      not null default 1 check (version >= 1),
    created_at  timestamptz not null default now(),
    updated_at  timestamptz not null default now()
);
create index categories_by_parent on categories (parent_id);

create table score_categories (
    score_id    uuid        not null references scores (id) on delete cascade,
    category_id uuid        not null references categories (id) on delete cascade,
    created_at  timestamptz not null default now(),
    primary key (score_id, category_id)
);
create index score_categories_by_category on score_categories (category_id);

alter table score_cards
    add column category_ids uuid[] not null default '{}',
    add column categories   text[] not null default '{}';

-- A category must not be below itself. Only with all who move categories in a row can each see what the others did.
-- +goose StatementBegin
create function categories_stay_a_tree() returns trigger language plpgsql as $$
begin
    perform pg_advisory_xact_lock(hashtextextended('categories', 0));
    if exists (
        with recursive above as (
            select new.parent_id as id
            union
            select c.parent_id from categories c join above on c.id = above.id
        ) select from above where id = new.id
    ) then
        raise check_violation using message = 'a category would be below itself';
    end if;
    return new;
end;
$$;
-- +goose StatementEnd

create trigger categories_stay_a_tree before insert or update of parent_id on categories
    for each row when (new.parent_id is not null) execute function categories_stay_a_tree();

-- category_family is a category and all below it.
-- +goose StatementBegin
create function category_family(top uuid) returns uuid[] language sql stable parallel safe
return (with recursive family as (
        select top as id
        union
        select c.id from categories c join family on c.parent_id = family.id
    ) select array_agg(id) from family);
-- +goose StatementEnd

-- score_cards_categorize writes the categories of scores on their cards. The cards are locked first, by a statement of its
-- own: the second then sees what those did who had the lock before.
-- +goose StatementBegin
create function score_cards_categorize(ids uuid[]) returns void language plpgsql as $$
begin
    perform from score_cards where score_id = any(ids) order by score_id for no key update;
    update score_cards set (category_ids, categories) = (
        select coalesce(array_agg(c.id order by c.name), '{}'), coalesce(array_agg(c.name order by c.name), '{}')
        from score_categories s join categories c on c.id = s.category_id where s.score_id = score_cards.score_id)
    where score_id = any(ids);
end;
$$;
-- +goose StatementEnd

-- +goose StatementBegin
create function score_categories_follow() returns trigger language plpgsql as $$
begin
    perform score_cards_categorize(array[coalesce(new.score_id, old.score_id)]);
    return null;
end;
$$;
-- +goose StatementEnd

create trigger score_categories_follow after insert or delete on score_categories
    for each row execute function score_categories_follow();

-- +goose StatementBegin
create function categories_rename() returns trigger language plpgsql as $$
begin
    perform score_cards_categorize(array(select score_id from score_categories where category_id = new.id));
    return null;
end;
$$;
-- +goose StatementEnd

create trigger categories_rename after update of name on categories
    for each row when (new.name <> old.name) execute function categories_rename();
