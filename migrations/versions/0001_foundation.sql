-- Projects, keys, queues, messages and the memory of settled receipts.
--
-- Two rules hold for everything a queue's messages touch, so that the tables can be distributed (Citus):
-- every key and index starts with the queue's number or id, and there are no triggers.
-- Numbers and ids are random or time-ordered, never counted: no project can read another's activity from them.

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
    -- SHA-256 of a secret of 256 random bits: nothing slower is needed for what cannot be guessed.
    secret_hash bytea not null unique,
    scopes text[] not null,
    queues text[] not null,
    expires_at timestamptz,
    created_at timestamptz not null,
    last_used_at timestamptz
);
create index api_key_project on api_key (project_id, id);

create table queue (
    -- What a receipt carries: stays for the queue's life, so that a receipt of a deleted queue is told from an old one.
    id bigint primary key,
    project_id bigint not null references project,
    name text collate "C" not null,
    -- What its messages are stored under. Purge gives a new one, and the old messages are gone at once.
    number bigint not null unique,
    -- Raised by every change of the configuration or the number; hot statements name the version they rely on.
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

-- Numbers whose messages are to be removed in the background, after a purge or a delete.
create table retired_queue (
    number bigint primary key,
    retired_at timestamptz not null
);

create table message (
    queue_number bigint not null,
    -- UUID version 7: its time, to the microsecond, is sent_at (service/store/identifiers.py).
    id uuid not null,
    -- Ready from here on. Delay, lease and release all move this one time, always to now or later.
    visible_at timestamptz not null,
    -- Retention counts from here.
    first_visible_at timestamptz not null,
    -- Set by the message's own ttl; it stands in for the queue's retention.
    expires_at timestamptz,
    first_received_at timestamptz,
    -- Names the current lease. A settle that names another one changes nothing.
    lease bigint,
    receive_count integer not null default 0,
    -- Octets of body and headers, so that a claim can stop at a number of bytes without reading them.
    size integer not null,
    -- 9 minus the priority that people see: the index then has the most urgent first.
    urgency smallint not null default 9,
    -- Whether it is received as `body` (JSON) or as `body_base64`.
    is_json boolean not null,
    -- Null: application/json.
    content_type text,
    -- One JSON object of strings, as it is sent to consumers. Null: {}.
    headers bytea,
    message_group text,
    last_error text,
    traceparent text,
    tracestate text,
    -- Never text or jsonb: NUL, lone surrogates, key order and 1e400 survive here alone.
    body bytea not null,
    primary key (queue_number, id)
)
-- Every message is updated once and deleted soon: without haste, dead rows pile up faster than they go.
with (
    autovacuum_vacuum_scale_factor = 0.0,
    autovacuum_vacuum_threshold = 20000,
    autovacuum_vacuum_insert_scale_factor = 0.05,
    autovacuum_analyze_scale_factor = 0.05,
    autovacuum_vacuum_cost_delay = 0
);
create index message_ready on message (queue_number, urgency, visible_at, id);
create index message_expiry on message (queue_number, expires_at) where expires_at is not null;

-- Receipts that were spent, for at least ten minutes, so that a repeat answers the same and a superseded one says so.
-- Four slots of five minutes; the one that comes next is truncated (service/upkeep/settlements.py). No time-dependent
-- DDL: a chore that fails leaves old rows, never a missing partition.
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
