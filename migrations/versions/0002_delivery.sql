-- Fifo queues, dead letters, priorities, tasks and queues with max_length.

alter table queue
    add column deduplication_window interval not null default interval '300 seconds',
    add column deduplicate_by_content boolean not null default false,
    -- The name of the dead-letter queue. Names never change, and the foreign key below prevents its deletion.
    add column dead_letter_queue text collate "C",
    add column max_receives integer,
    add column dead_letter_expired boolean not null default false,
    -- Set if the rules for dead letters have changed: messages after this id still have to be checked.
    add column unmarked_after uuid,
    -- The urgencies of all messages that were ever sent, most urgent first; a claim looks only at these.
    add column urgencies smallint[] not null default '{9}',
    add constraint queue_dead_letter foreign key (project_id, dead_letter_queue) references queue (project_id, name);
create index queue_dead_letter on queue (project_id, dead_letter_queue) where dead_letter_queue is not null;
create index queue_unmarked on queue (project_id) where unmarked_after is not null;

alter table message
    -- In fifo queues: the position in the group. It is assigned under the group's lock, in the order of the responses.
    add column seq bigint,
    -- Set during the last allowed delivery: the end of its lease, when the message is moved unless it was settled.
    add column exhausted_at timestamptz,
    -- In a dead-letter queue: the source of the message and the reason.
    add column dead_letter jsonb,
    -- Set if the message was moved here from another queue. Its id is older than its stay, so its retention needs its own
    -- index.
    add column moved boolean not null default false;
create index message_sequence on message (queue_number, message_group, seq) where seq is not null;
create index message_exhausted on message (queue_number, exhausted_at) where exhausted_at is not null;
create index message_moved on message (queue_number, first_visible_at) where moved;

-- The groups of fifo queues that have messages; '' is the group of messages without a group.
-- A transaction that adds, removes or moves messages of a group first locks its row, and reads the messages in a later
-- statement.
create table fifo_group (
    queue_number bigint not null,
    name text collate "C" not null,
    -- From when on the group's first messages can be received: none is leased then, and the first one is visible.
    ready_at timestamptz not null,
    -- The position of the last message.
    last_seq bigint not null,
    depth bigint not null,
    primary key (queue_number, name)
)
with (
    autovacuum_vacuum_scale_factor = 0.0,
    autovacuum_vacuum_threshold = 20000,
    autovacuum_vacuum_insert_scale_factor = 0.05,
    autovacuum_analyze_scale_factor = 0.05,
    autovacuum_vacuum_cost_delay = 0
);
create index fifo_group_ready on fifo_group (queue_number, ready_at, name);

-- Background operations. Each batch commits together with the progress recorded here, so that any process can continue
-- after another one has died.
create table task (
    project_id bigint not null references project on delete cascade,
    id uuid not null,
    kind text not null,
    state text not null,
    -- The queue's name, and its number when the task was created; after a purge the task has nothing left to do.
    queue text collate "C" not null,
    queue_number bigint not null,
    -- The parameters, which depend on the kind of task.
    wanted jsonb not null,
    -- The number of messages to examine.
    total bigint not null,
    moved bigint not null default 0,
    skipped bigint not null default 0,
    -- The last message that was examined: its id in standard queues, its group and position in fifo queues.
    after_id uuid not null default '00000000-0000-0000-0000-000000000000',
    after_group text collate "C" not null default '',
    after_seq bigint not null default 0,
    error text,
    due_at timestamptz not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (project_id, id)
);
create index task_running on task (project_id, due_at) where state = 'running';

-- How many messages a process may still send to a queue with max_length before it must count again.
create table queue_room (
    queue_number bigint not null,
    process bigint not null,
    -- Identifies the grant; another process may replace it.
    grant_id bigint not null,
    version bigint not null,
    permits bigint not null,
    used_at timestamptz not null,
    primary key (queue_number, process)
);
