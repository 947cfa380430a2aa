-- Webhooks, and what a message remembers of being pushed.

create table webhook (
    queue_id bigint not null references queue on delete cascade,
    name text collate "C" not null,
    -- What a message under its lease is marked with.
    id bigint not null unique,
    url text not null,
    mode text not null,
    timeout interval not null,
    max_concurrency integer not null,
    rate_limit double precision,
    retry_delays interval[] not null,
    retry_jitter double precision not null,
    on_exhausted text not null,
    enabled boolean not null,
    -- Custom headers and secrets, encrypted.
    sealed bytea not null,
    -- Failures one after another, over all messages; how often its circuit has opened since the last success.
    failures integer not null default 0,
    openings integer not null default 0,
    last_success_at timestamptz,
    paused_until timestamptz,
    pause_reason text,
    -- With a rate limit: requests that it may make, as of a time.
    allowance double precision not null default 1,
    allowed_at timestamptz not null default '-infinity',
    -- When it was last given messages: the one that waits longest comes next.
    served_at timestamptz not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (queue_id, name)
);

-- `attempts`: by push, over all webhooks; `pushed_by`: the webhook that holds the lease, if one does; without a lease the
-- one after whose last attempt the message is blocked.
alter table message
    add column attempts integer not null default 0,
    add column pushed_by bigint;

create index message_pushed on message (queue_number, pushed_by) where pushed_by is not null;

-- Requests to webhooks that have ended. Its partitions are days, made and dropped as time goes on (upkeep/attempts.py).
create table attempt (
    queue_id bigint not null,
    webhook_id bigint not null,
    id uuid not null,
    message_id uuid not null,
    number integer not null,
    started_at timestamptz not null,
    duration interval not null,
    status integer,
    error text,
    succeeded boolean not null,
    excerpt bytea not null
)
partition by range (started_at);
create index attempt_webhook on attempt (queue_id, webhook_id, id);
create index attempt_failed on attempt (queue_id, webhook_id, id) where not succeeded;
