-- name: write
-- Stores which consumers ask this process. Those of queues that were deleted are dropped.
insert into consumer as c (queue_id, process, via, key_id, waiting, asked_at)
select asked.queue_id, $1::bigint, asked.via, asked.key_id, asked.waiting, clock_timestamp()
from unnest($2::bigint[], $3::text[], $4::uuid[], $5::integer[]) as asked (queue_id, via, key_id, waiting)
join queue on queue.id = asked.queue_id
on conflict (queue_id, process, via, key_id) do update
set waiting = excluded.waiting,
    asked_at = excluded.asked_at;

-- name: of_queue
-- The consumers of the last hour: those that wait first, then by name. A living process stores every few seconds how
-- many receives wait: older rows come from one that has died.
with seen as materialized (
    select
        c.via,
        c.key_id,
        coalesce(sum(c.waiting) filter (where c.asked_at > moment.now - interval '15 seconds'), 0)::integer as waiting,
        max(c.asked_at) as last_asked_at
    from (select clock_timestamp() as now) as moment
    join consumer as c on c.queue_id = $1 and c.asked_at > moment.now - interval '1 hour'
    group by c.via, c.key_id
)
select seen.*, api_key.name as key_name
from seen
left join api_key on api_key.id = seen.key_id
order by seen.waiting = 0, api_key.name, seen.via, seen.key_id
limit $2;

-- name: remove_old
-- Rows that another process is removing are left to it.
delete from consumer
where ctid = any(array(
    select c.ctid
    from consumer as c
    where c.asked_at < (select clock_timestamp() - interval '1 hour')
    limit $1
    for update skip locked
));
