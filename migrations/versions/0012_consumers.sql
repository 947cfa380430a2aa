-- Who has asked a queue for messages in the last hour: by API key and way, a row for each process that was asked.
-- The queue is not referenced: who writes these rows never waits for somebody who holds a queue. Rows of queues that are
-- gone go with their time.

create table consumer (
    queue_id bigint not null,
    process bigint not null,
    -- receive, websocket, events or socket_io.
    via text not null,
    -- null: the root key.
    key_id uuid,
    -- How many wait for a message, as long as this is not older than a few seconds.
    waiting integer not null,
    asked_at timestamptz not null,
    unique nulls not distinct (queue_id, process, via, key_id)
)
-- Each row is written every few seconds while somebody waits; room on its page spares the index that.
with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);
