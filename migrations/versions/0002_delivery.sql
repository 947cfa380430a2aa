-- Fifo queues, dead letters, priorities, tasks, room in bounded queues.

alter table queue
    add column deduplication_window interval not null default interval '300 seconds',
    add column deduplicate_by_content boolean not null default false,
    -- The dead-letter queue by its name, which cannot change; the key below keeps it from being deleted.
    add column dead_letter_queue text collate "C",
    add column max_receives integer,
    add column dead_letter_expired boolean not null default false,
    -- The urgencies that messages were ever sent with, most urgent first: a claim looks at no others.
    -- The rules for dead letters have changed: messages behind this id are still to be gone through.
    add column unmarked_after uuid,
    add column urgencies smallint[] not null default '{9}',
    add constraint queue_dead_letter foreign key (project_id, dead_letter_queue) references queue (project_id, name);
create index queue_dead_letter on queue (project_id, dead_letter_queue) where dead_letter_queue is not null;
create index queue_unmarked on queue (project_id) where unmarked_after is not null;

alter table message
    -- In fifo queues: the place within its group. Counted up under the group's lock, so it is the order of the answers.
    add column seq bigint,
    -- Set while the last permitted delivery is under way: when its lease ends, unless the message was settled by then.
    add column exhausted_at timestamptz,
    -- In a dead-letter queue: where it came from, and why.
    add column dead_letter jsonb,
    -- It came from another queue: its id is older than its stay here, so its retention is looked after apart.
    add column moved boolean not null default false;
create index message_sequence on message (queue_number, message_group, seq) where seq is not null;
create index message_exhausted on message (queue_number, exhausted_at) where exhausted_at is not null;
create index message_moved on message (queue_number, first_visible_at) where moved;

-- The groups of fifo queues that hold messages; '' is the group of messages that name none.
-- Whoever adds, removes or moves messages of a group locks its row first and looks at the messages in a later statement.
create table fifo_group (
    queue_number bigint not null,
    name text collate "C" not null,
    -- Somebody may take its first messages from here on: none is leased then, and the first one is visible.
    ready_at timestamptz not null,
    -- The place of the message that was sent last.
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

-- Work that goes on after its request was answered. Each batch of it commits together with what is noted of it here, so
-- any process can go on where another was when it died.
create table task (
    project_id bigint not null references project on delete cascade,
    id uuid not null,
    kind text not null,
    state text not null,
    -- The queue by its name, and under which number its messages were when the task was made: after a purge there is
    -- nothing left to do.
    queue text collate "C" not null,
    queue_number bigint not null,
    -- What is asked for, as its kind has it.
    wanted jsonb not null,
    -- How many messages there were to look at.
    total bigint not null,
    moved bigint not null default 0,
    skipped bigint not null default 0,
    -- What has been looked at ends here: by id in standard queues, by group and place in fifo queues.
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

-- How many messages a process may still send into a queue with max_length before it has to count again.
create table queue_room (
    queue_number bigint not null,
    process bigint not null,
    -- Names what was granted: another process may grant anew.
    grant_id bigint not null,
    version bigint not null,
    permits bigint not null,
    used_at timestamptz not null,
    primary key (queue_number, process)
);
