-- What was done with the messages of each queue and each project, in steps of ten seconds, over all processes; kept for
-- a little more than an hour. `growth`: what came in minus what left, whatever the way; so a length of now gives those
-- before. `attempts`, `succeeded`: requests to webhooks.
-- The queue is not referenced: who writes these rows never waits for somebody who holds a queue. Rows of queues that are
-- gone go with their time.

create table queue_activity (
    queue_id bigint not null,
    -- When the step begins.
    at timestamptz not null,
    sent integer not null,
    received integer not null,
    deleted integer not null,
    dead_lettered integer not null,
    -- A purge may remove very many at once.
    growth bigint not null,
    attempts integer not null,
    succeeded integer not null,
    primary key (queue_id, at)
)
-- Each process adds to a row twice before its time is over; room on its page spares the indexes that.
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
