-- Message counts of each queue and each project, in steps of ten seconds, over all processes, for a little more than an
-- hour. `growth` is the number of messages added minus those removed, so that earlier lengths can be derived from the
-- current one. `attempts` and `succeeded` count requests to webhooks.
-- There is no foreign key to the queue, so that writing a row never waits for a transaction that has locked the queue.
-- Rows of deleted queues are removed when they are too old.

create table queue_activity (
    queue_id bigint not null,
    -- The start of the step.
    at timestamptz not null,
    sent integer not null,
    received integer not null,
    deleted integer not null,
    dead_lettered integer not null,
    -- A bigint, because a purge can remove very many messages at once.
    growth bigint not null,
    attempts integer not null,
    succeeded integer not null,
    primary key (queue_id, at)
)
-- Each process updates a row about twice. Free space on the page lets these updates skip the indexes.
with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);
create index queue_activity_at on queue_activity (at);

create table project_activity (
    project_id bigint not null,
    at timestamptz not null,
    sent integer not null,
    received integer not null,
    deleted integer not null,
    dead_lettered integer not null,
    growth bigint not null,
    attempts integer not null,
    succeeded integer not null,
    primary key (project_id, at)
)
with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);
create index project_activity_at on project_activity (at);
