-- Topics: a published message is copied to every subscribed queue whose filter it matches.

create table topic (
    project_id bigint not null references project on delete cascade,
    name text collate "C" not null,
    id bigint not null unique,
    -- Identifies the topic's deduplication ids, like the number of a queue.
    number bigint not null unique,
    -- Incremented by every change, including those of its subscriptions. A publish checks the version it relies on.
    version bigint not null default 1,
    type text not null,
    deduplication_window interval not null,
    deduplicate_by_content boolean not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (project_id, name)
);

create table subscription (
    topic_id bigint not null references topic (id) on delete cascade,
    name text collate "C" not null,
    queue_id bigint not null references queue on delete cascade,
    -- The type json preserves the order of the members.
    filter json not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (topic_id, name),
    unique (topic_id, queue_id)
);
create index subscription_queue on subscription (queue_id);

-- Only in copies: the topic, and the id in the response to the publisher.
alter table message add column published text;
