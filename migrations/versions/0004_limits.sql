-- Limits of projects, and what the processes tell each other to hold them together.

-- Only the limits that are set.
alter table project add column limits jsonb not null default '{}';

-- The tables below are unlogged: they change many times a second and are worth nothing after a crash, when the buckets
-- are full again, what is stored is counted again, and nobody waits.

-- How many requests the processes may still take out of a project's bucket.
create unlogged table request_allowance (
    project_id bigint primary key references project on delete cascade,
    requests double precision not null,
    counted_at timestamptz not null
)
with (fillfactor = 20, autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 1000);

-- What projects with such limits hold, as it was counted last, and how long the counting took.
create unlogged table project_usage (
    project_id bigint primary key references project on delete cascade,
    messages bigint not null,
    bytes bigint not null,
    counted_at timestamptz not null,
    took interval not null
)
with (fillfactor = 50);

-- How many receives of a project a process may let wait; worth nothing unless it was renewed lately.
create unlogged table parked_share (
    project_id bigint not null references project on delete cascade,
    process bigint not null,
    receives integer not null,
    renewed_at timestamptz not null,
    primary key (project_id, process)
)
with (fillfactor = 50);
