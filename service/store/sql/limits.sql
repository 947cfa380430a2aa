-- name: reserve
-- Take requests out of buckets that hold a second's worth and fill all the time. Below half they fill 5 % slower: a
-- burst of a whole second is so made up for within the next ten. The projects come sorted: so they are locked.
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
    -- Says nothing new, but keeps the planner from looking through the rows of earlier minutes.
    and a.project_id = any($1)
    and a.minute = (select minute from present)
returning held.ord::integer, held.granted::integer, a.requests as rest;

-- name: fill
-- This minute's buckets of projects that have none yet: what was left in the last one, or full.
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

-- name: usage
-- What was counted last, and how long ago that is.
select u.messages, u.bytes, u.took, clock_timestamp() - u.counted_at as age
from project_usage as u
where u.project_id = $1;

-- name: numbers
select clock_timestamp() as now, array(select q.number from queue as q where q.project_id = $1) as numbers;

-- name: count
-- Up to $3 messages after an id, of each of some queues: how many, their octets, and the last id.
select part.messages, part.bytes, part.last, a.number
from unnest($1::bigint[], $2::uuid[]) as a (number, after)
cross join lateral (
    select count(*) as messages, coalesce(sum(m.size), 0)::bigint as bytes, (array_agg(m.id))[count(*)] as last
    from (
        select m.id, m.size
        from message as m
        where m.queue_number = a.number and m.id > a.after
        order by m.id
        limit $3
    ) as m
) as part;

-- name: note_usage
insert into project_usage (project_id, messages, bytes, counted_at, took)
select p.id, $2, $3, $4, $5
from project as p
where p.id = $1
on conflict (project_id) do update
set messages = excluded.messages, bytes = excluded.bytes, counted_at = excluded.counted_at, took = excluded.took
-- What the future holds was counted before the clock was set back.
where project_usage.counted_at < excluded.counted_at or project_usage.counted_at > clock_timestamp();

-- name: lock_shares
-- One process at a time takes a greater share: it must see what the others have.
select pg_advisory_xact_lock($1::bigint);

-- name: share
-- What process $2 gets of $3 receives that it wants, of $4 that the project may have; never less than it has in use, $5.
insert into parked_share as s (project_id, process, receives, renewed_at)
select p.id, $2, greatest($5::integer, least($3::integer, $4::bigint - others.receives)), clock_timestamp()
from project as p
cross join lateral (
    select coalesce(sum(o.receives), 0) as receives
    from parked_share as o
    where o.project_id = p.id and o.process <> $2 and o.renewed_at > clock_timestamp() - interval '5 s'
) as others
where p.id = $1
on conflict (project_id, process) do update set receives = excluded.receives, renewed_at = excluded.renewed_at
returning receives;

-- name: renew_shares
-- Never more than there was: that needs no lock.
insert into parked_share as s (project_id, process, receives, renewed_at)
select p.id, $1, a.receives, clock_timestamp()
from unnest($2::bigint[], $3::integer[]) as a (project_id, receives)
join project as p on p.id = a.project_id
on conflict (project_id, process) do update set receives = excluded.receives, renewed_at = excluded.renewed_at;

-- name: drop_shares
-- Shares that are used up, and those of processes that have ended.
delete from parked_share as s
where s.renewed_at < clock_timestamp() - interval '1 minute';

-- name: used
-- What projects have: their queues; messages and bytes as they were counted last; messages sent in the last hour.
select
    (select count(*) from queue as q where q.project_id = p.id) as queues,
    u.messages, u.bytes, u.counted_at,
    (
        select coalesce(sum(a.sent), 0)::bigint
        from project_activity as a
        where a.project_id = p.id and a.at > (select clock_timestamp() - interval '1 hour')
    ) as sent
from unnest($1::bigint[]) with ordinality as p (id, ord)
left join project_usage as u on u.project_id = p.id
order by p.ord;
