-- name: ahead
-- The numbers of messages that are not ready yet, and since when the oldest ready one is.
with level as materialized (
    select unnest(urgencies) as urgency from queue where number = $1
)
select
    moment.now, part.delayed, part.leased,
    (
        select min(seen.visible_at)
        from level
        cross join lateral (
            select m.visible_at
            from message as m
            where m.queue_number = $1 and m.urgency = level.urgency and m.visible_at <= moment.now
            order by m.visible_at
            limit 1
        ) as seen
    ) as oldest
from (select clock_timestamp() as now offset 0) as moment
cross join lateral (
    select count(*) filter (where m.lease is null) as delayed, count(*) filter (where m.lease is not null) as leased
    from level
    join message as m on m.queue_number = $1 and m.urgency = level.urgency and m.visible_at > moment.now
) as part;

-- name: between
-- Messages that became visible after $2 and up to $3. Where vacuum has been, the index alone is read.
select count(*) as ready
from queue
cross join unnest(queue.urgencies) as level (urgency)
join message as m on m.queue_number = $1 and m.urgency = level.urgency and m.visible_at > $2 and m.visible_at <= $3
where queue.number = $1;

-- name: bound
-- Where a segment that begins after $2 ends, if it is to hold at least $4 messages and at most ten times as many. No
-- row: every priority has fewer up to $3.
select step.visible_at
from queue
cross join unnest(queue.urgencies) as level (urgency)
cross join lateral (
    select m.visible_at
    from message as m
    where m.queue_number = $1 and m.urgency = level.urgency and m.visible_at > $2 and m.visible_at <= $3
    order by m.visible_at
    offset $4
    limit 1
) as step
where queue.number = $1
order by step.visible_at
limit 1;
