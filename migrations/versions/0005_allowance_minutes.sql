-- A bucket has a new row every minute: one row that is changed again and again becomes slow while an old transaction keeps
-- all its versions. The buckets are full again after the change.
drop table request_allowance;

create unlogged table request_allowance (
    project_id bigint not null references project on delete cascade,
    minute bigint not null,
    requests double precision not null,
    counted_at timestamptz not null,
    primary key (project_id, minute)
)
with (fillfactor = 20, autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 1000);
