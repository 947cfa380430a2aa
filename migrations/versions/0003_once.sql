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

-- What transactions were answered, under each receipt they named, in slots that are emptied in turn as those of
-- settlement are. One that has no receipts but a key is under its project, lease 0 and the key's hash.
create table transaction_answer (
    slot smallint not null,
    queue_id bigint not null,
    lease bigint not null,
    message_id uuid not null,
    -- SHA-256 of what was asked: the same again is answered the same.
    digest bytea not null,
    -- Whether the receipt was spent, and not only prolonged.
    spent boolean not null,
    -- In the row of the first receipt.
    answer bytea
) partition by list (slot);
create table transaction_answer_0 partition of transaction_answer for values in (0);
create table transaction_answer_1 partition of transaction_answer for values in (1);
create table transaction_answer_2 partition of transaction_answer for values in (2);
create table transaction_answer_3 partition of transaction_answer for values in (3);
create index transaction_answer_receipt on transaction_answer (queue_id, lease, message_id);
