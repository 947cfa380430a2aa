-- Limits of projects, and the data that processes share to enforce them.

-- A JSON object with only those limits that are set.
alter table project add column limits jsonb not null default '{}';

-- The tables below are unlogged: they change many times a second and are not needed after a crash, when buckets are full
-- again, stored messages are counted again, and no receives are waiting.

-- The requests left in a project's bucket.
create unlogged table request_allowance (
    project_id bigint primary key references project on delete cascade,
    requests double precision not null,
    counted_at timestamptz not null
)
with (fillfactor = 20, autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 1000);

-- The last count of stored messages and bytes of projects with such limits, and how long it took.
create unlogged table project_usage (
    project_id bigint primary key references project on delete cascade,
    messages bigint not null,
    bytes bigint not null,
    counted_at timestamptz not null,
    took interval not null
)
with (fillfactor = 50);

-- How many receives of a project may wait in a process; valid only if it was renewed recently.
create unlogged table parked_share (
    project_id bigint not null references project on delete cascade,
    process bigint not null,
    receives integer not null,
    renewed_at timestamptz not null,
    primary key (project_id, process)
)
with (fillfactor = 50);
