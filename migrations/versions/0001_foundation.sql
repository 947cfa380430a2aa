-- Projects, keys, queues, messages and settled receipts.
--
-- So that the tables can be distributed (Citus), every key and index of tables with a queue's messages starts with the
-- queue's number or id, and there are no triggers.
-- Numbers and ids are random or time-ordered, never sequential, so that they reveal nothing about other projects.

create table project (
    id bigint primary key,
    name text collate "C" not null unique,
    created_at timestamptz not null,
    updated_at timestamptz not null
);

create table api_key (
    id uuid primary key,
    project_id bigint not null references project on delete cascade,
    name text not null,
    -- SHA-256 of a secret of 256 random bits. Such a secret cannot be guessed, so no slower hash is needed.
    secret_hash bytea not null unique,
    scopes text[] not null,
    queues text[] not null,
    expires_at timestamptz,
    created_at timestamptz not null,
    last_used_at timestamptz
);
create index api_key_project on api_key (project_id, id);

create table queue (
    -- Part of receipts. It never changes, so that a receipt of a deleted queue differs from an outdated one.
    id bigint primary key,
    project_id bigint not null references project,
    name text collate "C" not null,
    -- Identifies the queue's messages. A purge assigns a new number, which removes the old messages at once.
    number bigint not null unique,
    -- Incremented by every change of the configuration or the number. Hot statements check the version that they rely on.
    version bigint not null default 1,
    type text not null,
    visibility_timeout interval not null,
    delay interval not null,
    retention interval,
    max_message_bytes integer not null,
    max_length bigint,
    paused boolean not null,
    labels jsonb not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    unique (project_id, name)
);
create index queue_updated on queue (updated_at);

-- Numbers of purged and deleted queues, whose messages are removed in the background.
create table retired_queue (
    number bigint primary key,
    retired_at timestamptz not null
);

create table message (
    queue_number bigint not null,
    -- A UUID of version 7. It contains sent_at in microseconds (service/store/database/identifiers.py).
    id uuid not null,
    -- When the message becomes ready. Delay, lease and release set this time, always to now or later.
    visible_at timestamptz not null,
    -- The start of the retention.
    first_visible_at timestamptz not null,
    -- The end of the message's own ttl, which replaces the queue's retention.
    expires_at timestamptz,
    first_received_at timestamptz,
    -- Identifies the current lease. Settling with another lease changes nothing.
    lease bigint,
    receive_count integer not null default 0,
    -- Size of body and headers in bytes, so that a claim can limit its total size without reading them.
    size integer not null,
    -- 9 minus the priority, so that the most urgent messages come first in the index.
    urgency smallint not null default 9,
    -- Whether consumers receive the message as `body` (JSON) or as `body_base64`.
    is_json boolean not null,
    -- Null means application/json.
    content_type text,
    -- A JSON object of strings, as consumers receive it. Null means {}.
    headers bytea,
    message_group text,
    last_error text,
    traceparent text,
    tracestate text,
    -- Neither text nor jsonb would preserve NUL, unpaired surrogates, the order of keys and numbers such as 1e400.
    body bytea not null,
    primary key (queue_number, id)
)
-- Every message is updated once and soon deleted, so vacuum must run often to keep up with dead rows.
with (
    autovacuum_vacuum_scale_factor = 0.0,
    autovacuum_vacuum_threshold = 20000,
    autovacuum_vacuum_insert_scale_factor = 0.05,
    autovacuum_analyze_scale_factor = 0.05,
    autovacuum_vacuum_cost_delay = 0
);
create index message_ready on message (queue_number, urgency, visible_at, id);
create index message_expiry on message (queue_number, expires_at) where expires_at is not null;

-- Spent receipts of at least the last ten minutes, so that a repeated settle gets the same response, and a superseded
-- receipt is recognized. There are four slots of five minutes; a chore truncates the next one (service/upkeep/rounds.py).
-- No DDL depends on time: if the chore fails, old rows stay, but no partition is missing.
create table settlement (
    slot smallint not null,
    queue_id bigint not null,
    lease bigint not null,
    message_id uuid not null,
    action smallint not null
) partition by list (slot);
create table settlement_0 partition of settlement for values in (0);
create table settlement_1 partition of settlement for values in (1);
create table settlement_2 partition of settlement for values in (2);
create table settlement_3 partition of settlement for values in (3);
create index settlement_receipt on settlement (queue_id, lease, message_id);
