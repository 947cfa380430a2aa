-- Topics: what is published is copied to every subscribed queue whose filter it matches.

create table topic (
    project_id bigint not null references project on delete cascade,
    name text collate "C" not null,
    id bigint not null unique,
    -- What its publishes are deduplicated under, as a queue's messages are under the queue's number.
    number bigint not null unique,
    -- Raised by every change, of its subscriptions too: a publish names the version that it relies on.
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
    -- As it was given; json keeps the order of its members.
    filter json not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (topic_id, name),
    unique (topic_id, queue_id)
);
create index subscription_queue on subscription (queue_id);

-- Of a copy: its topic, and the id that the publisher was told.
alter table message add column published text;
