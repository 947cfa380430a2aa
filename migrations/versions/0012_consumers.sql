-- The consumers of each queue in the last hour: a row for each API key, way of receiving, and process.
-- There is no foreign key to the queue, so that writing a row never waits for a transaction that has locked the queue.
-- Rows of deleted queues are removed when they are too old.

create table consumer (
    queue_id bigint not null,
    process bigint not null,
    -- receive, websocket, events or socket_io.
    via text not null,
    -- Null for the root key.
    key_id uuid,
    -- The number of waiting receives; outdated if the row is older than a few seconds.
    waiting integer not null,
    asked_at timestamptz not null,
    unique nulls not distinct (queue_id, process, via, key_id)
)
-- A row is updated every few seconds while receives are waiting. Free space on the page lets updates skip the index.
with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);
