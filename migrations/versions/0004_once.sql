-- What a message was sent under, so that a repeat stores nothing.

create table deduplication (
    queue_number bigint not null,
    -- SHA-256 of the id, or of what stands in for it (service/domain/once.py).
    hash bytea not null,
    -- The message that was stored under it, and when it became visible: what a repeat is answered.
    message_id uuid not null,
    visible_at timestamptz not null,
    -- How many messages the batch had that this one was sent in, if the key was the batch's.
    members integer not null,
    -- Past: the row may be taken by the next message of this hash.
    expires_at timestamptz not null,
    primary key (queue_number, hash)
)
with (
    autovacuum_vacuum_scale_factor = 0.0,
    autovacuum_vacuum_threshold = 20000,
    autovacuum_vacuum_insert_scale_factor = 0.05,
    autovacuum_analyze_scale_factor = 0.05,
    autovacuum_vacuum_cost_delay = 0
);
create index deduplication_expiry on deduplication (queue_number, expires_at);
