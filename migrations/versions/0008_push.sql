-- Webhooks, and the push state of messages.

create table webhook (
    queue_id bigint not null references queue on delete cascade,
    name text collate "C" not null,
    -- Marks the messages that are leased by this webhook.
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
    -- Encrypted custom headers and secrets.
    sealed bytea not null,
    -- Consecutive failures over all messages; how many times the circuit has opened since the last success.
    failures integer not null default 0,
    openings integer not null default 0,
    last_success_at timestamptz,
    paused_until timestamptz,
    pause_reason text,
    -- With a rate limit: the number of requests allowed at a time.
    allowance double precision not null default 1,
    allowed_at timestamptz not null default '-infinity',
    -- When the webhook last got messages; the one that has waited longest is next.
    served_at timestamptz not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (queue_id, name)
);

-- `attempts`: the number of requests over all webhooks. `pushed_by`: the webhook that holds the lease or, without a lease,
-- the webhook after whose last attempt the message is blocked.
alter table message
    add column attempts integer not null default 0,
    add column pushed_by bigint;

create index message_pushed on message (queue_number, pushed_by) where pushed_by is not null;

-- Completed requests to webhooks. A chore creates and drops a partition for each day (service/upkeep/rounds.py).
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
