-- name: noted
-- The last count, and how long ago it was.
select u.messages, u.bytes, u.took, clock_timestamp() - u.counted_at as age
from project_usage as u
where u.project_id = $1;

-- name: numbers
select clock_timestamp() as now, array(select q.number from queue as q where q.project_id = $1) as numbers;

-- name: count
-- Up to $3 messages of each queue after an id: how many there are, their bytes, and the last id.
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

-- name: note
insert into project_usage (project_id, messages, bytes, counted_at, took)
select p.id, $2, $3, $4, $5
from project as p
where p.id = $1
on conflict (project_id) do update
set messages = excluded.messages, bytes = excluded.bytes, counted_at = excluded.counted_at, took = excluded.took
-- A count in the future was made before the clock was set back, so it is replaced too.
where project_usage.counted_at < excluded.counted_at or project_usage.counted_at > clock_timestamp();
