-- The deduplication ids of sent messages, so that a repeated send stores nothing.

create table deduplication (
    queue_number bigint not null,
    -- SHA-256 of the id, or of what replaces it (service/domain/deduplication.py).
    hash bytea not null,
    -- The message that was stored and when it became visible, for the response to a repeated send.
    message_id uuid not null,
    visible_at timestamptz not null,
    -- The number of messages in the batch, if the key was that of a batch.
    members integer not null,
    -- If this is in the past, the next message with this hash replaces the row.
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

-- The responses of transactions, stored for each of their receipts, in slots that are emptied in turn like those of
-- settlement. A transaction with a key but no receipts is stored with its project, lease 0 and the key's hash.
create table transaction_answer (
    slot smallint not null,
    queue_id bigint not null,
    lease bigint not null,
    message_id uuid not null,
    -- SHA-256 of the request. A repetition of the same request gets the same response.
    digest bytea not null,
    -- Whether the receipt was spent rather than only extended.
    spent boolean not null,
    -- Only in the row of the first receipt.
    answer bytea
) partition by list (slot);
create table transaction_answer_0 partition of transaction_answer for values in (0);
create table transaction_answer_1 partition of transaction_answer for values in (1);
create table transaction_answer_2 partition of transaction_answer for values in (2);
create table transaction_answer_3 partition of transaction_answer for values in (3);
create index transaction_answer_receipt on transaction_answer (queue_id, lease, message_id);
