-- A bucket has a new row every minute, because a row that is updated continually becomes slow while an old transaction
-- keeps all its versions. After this migration all buckets are full.
drop table request_allowance;

create unlogged table request_allowance (
    project_id bigint not null references project on delete cascade,
    minute bigint not null,
    requests double precision not null,
    counted_at timestamptz not null,
    primary key (project_id, minute)
)
with (fillfactor = 20, autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 1000);
