-- name: write
-- Adds what a process has counted to the current step of ten seconds; counts of queues that were deleted are dropped.
-- Every process locks projects first and queues after them, each in the order of their ids.
with moment as materialized (
    select date_bin('10 seconds', clock_timestamp(), '2000-01-01 00:00+00') as at
), counted as materialized (
    select queue.project_id, moment.at, c.*
    from moment
    cross join unnest(
        $1::bigint[], $2::integer[], $3::integer[], $4::integer[], $5::integer[], $6::bigint[], $7::integer[],
        $8::integer[]
    ) as c (queue_id, sent, received, deleted, dead_lettered, growth, attempts, succeeded)
    join queue on queue.id = c.queue_id
), of_projects as (
    insert into project_activity as a (
        project_id, at, sent, received, deleted, dead_lettered, growth, attempts, succeeded
    )
    select
        project_id, at, sum(sent), sum(received), sum(deleted), sum(dead_lettered), sum(growth), sum(attempts),
        sum(succeeded)
    from counted
    group by project_id, at
    order by project_id
    on conflict (project_id, at) do update
    set sent = a.sent + excluded.sent,
        received = a.received + excluded.received,
        deleted = a.deleted + excluded.deleted,
        dead_lettered = a.dead_lettered + excluded.dead_lettered,
        growth = a.growth + excluded.growth,
        attempts = a.attempts + excluded.attempts,
        succeeded = a.succeeded + excluded.succeeded
    returning project_id
)
insert into queue_activity as a (queue_id, at, sent, received, deleted, dead_lettered, growth, attempts, succeeded)
select queue_id, at, sent, received, deleted, dead_lettered, growth, attempts, succeeded
from counted
where (select count(*) from of_projects) > 0
order by queue_id
on conflict (queue_id, at) do update
set sent = a.sent + excluded.sent,
    received = a.received + excluded.received,
    deleted = a.deleted + excluded.deleted,
    dead_lettered = a.dead_lettered + excluded.dead_lettered,
    growth = a.growth + excluded.growth,
    attempts = a.attempts + excluded.attempts,
    succeeded = a.succeeded + excluded.succeeded;

-- name: remove_old_of_queues
-- Removes a batch of the rows that are too old to be asked for. Rows that another process is removing are left to it.
delete from queue_activity
where ctid = any(array(
    select a.ctid
    from queue_activity as a
    where a.at < (select clock_timestamp() - interval '65 minutes')
    order by a.at
    limit $1
    for update skip locked
));

-- name: remove_old_of_projects
delete from project_activity
where ctid = any(array(
    select a.ctid
    from project_activity as a
    where a.at < (select clock_timestamp() - interval '65 minutes')
    order by a.at
    limit $1
    for update skip locked
));

-- name: start
-- When the first of $2 buckets of the length $1 begins, if the last one is the current one.
select date_bin($1::interval, clock_timestamp(), '2000-01-01 00:00+00') - ($2::integer - 1) * $1::interval as start;

-- name: of_queues
-- The activity of each queue, in $3 buckets of the length $2 from $4 on.
with bucket as materialized (
    select $4::timestamptz + (n - 1) * $2::interval as start from generate_series(1, $3::integer) as n
)
select series.*
from unnest($1::bigint[]) with ordinality as q (queue_id, ord)
cross join lateral (
    select
        array_agg(seen.sent) as sent, array_agg(seen.received) as received, array_agg(seen.deleted) as deleted,
        array_agg(seen.dead_lettered) as dead_lettered, array_agg(seen.growth) as growth
    from (
        select
            part.start, sum(part.sent) as sent, sum(part.received) as received, sum(part.deleted) as deleted,
            sum(part.dead_lettered) as dead_lettered, sum(part.growth)::bigint as growth
        from (
            select bucket.start, 0 as sent, 0 as received, 0 as deleted, 0 as dead_lettered, 0::bigint as growth
            from bucket
            union all
            select date_bin($2::interval, a.at, $4), a.sent, a.received, a.deleted, a.dead_lettered, a.growth
            from queue_activity as a
            where a.queue_id = q.queue_id and a.at >= $4 and a.at < $4 + $3 * $2::interval
        ) as part
        group by part.start
        order by part.start
    ) as seen
) as series
order by q.ord;

-- name: of_project
-- The same for all queues of a project together, including those that were deleted.
with bucket as materialized (
    select $4::timestamptz + (n - 1) * $2::interval as start from generate_series(1, $3::integer) as n
)
select
    array_agg(seen.sent) as sent, array_agg(seen.received) as received, array_agg(seen.deleted) as deleted,
    array_agg(seen.dead_lettered) as dead_lettered, array_agg(seen.growth) as growth
from (
    select
        part.start, sum(part.sent) as sent, sum(part.received) as received, sum(part.deleted) as deleted,
        sum(part.dead_lettered) as dead_lettered, sum(part.growth)::bigint as growth
    from (
        select bucket.start, 0 as sent, 0 as received, 0 as deleted, 0 as dead_lettered, 0::bigint as growth
        from bucket
        union all
        select date_bin($2::interval, a.at, $4), a.sent, a.received, a.deleted, a.dead_lettered, a.growth
        from project_activity as a
        where a.project_id = $1::bigint and a.at >= $4 and a.at < $4 + $3 * $2::interval
    ) as part
    group by part.start
    order by part.start
) as seen;
