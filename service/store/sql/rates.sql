-- name: reserve
-- Takes requests out of buckets that hold a second's worth and fill continuously. Below half full they fill 5 % more
-- slowly, so that a burst of a whole second is made up for within the next ten. The caller sorts the projects, which
-- are locked in that order.
with present as materialized (
    select floor(extract(epoch from clock_timestamp()) / 60)::bigint as minute
), held as (
    select
        asked.ord, bucket.project_id, bucket.minute, moment.now, filled.requests,
        least(asked.wanted, floor(filled.requests)) as granted
    from present
    cross join unnest($1::bigint[], $2::float8[], $3::float8[]) with ordinality as asked (project_id, rate, wanted, ord)
    cross join lateral (
        select a.project_id, a.minute, a.requests, a.counted_at
        from request_allowance as a
        where a.project_id = asked.project_id and a.minute = present.minute
        for update
    ) as bucket
    cross join lateral (select clock_timestamp() as now where bucket.project_id is not null offset 0) as moment
    cross join lateral (
        select least(
            asked.rate,
            bucket.requests
            + greatest(0, extract(epoch from moment.now - bucket.counted_at)::float8) * asked.rate
            * case when bucket.requests < asked.rate / 2 - 1 then 0.95 else 1.0 end
        ) as requests
    ) as filled
)
update request_allowance as a
set requests = held.requests - held.granted, counted_at = held.now
from held
where a.project_id = held.project_id
    and a.minute = held.minute
    -- Redundant, but keeps the planner from reading the rows of earlier minutes.
    and a.project_id = any($1)
    and a.minute = (select minute from present)
returning held.ord::integer, held.granted::integer, a.requests as rest;

-- name: fill
-- Creates this minute's buckets of projects without one, with what was left in the last bucket, or full.
with present as (
    select floor(extract(epoch from clock_timestamp()) / 60)::bigint as minute, clock_timestamp() as now
), old as (
    delete from request_allowance as a
    using present
    where a.project_id = any($1) and a.minute < present.minute
    returning a.project_id, a.minute, a.requests, a.counted_at
)
insert into request_allowance (project_id, minute, requests, counted_at)
select p.id, present.minute, coalesce(last.requests, asked.rate), coalesce(last.counted_at, present.now)
from present
cross join unnest($1::bigint[], $2::float8[]) as asked (project_id, rate)
join project as p on p.id = asked.project_id
left join lateral (
    select old.requests, old.counted_at
    from old
    where old.project_id = p.id
    order by old.minute desc
    limit 1
) as last on true
on conflict do nothing;
