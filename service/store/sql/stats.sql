-- name: count
-- Exact up to $3 messages a queue: it looks at one more, so that `seen` tells whether that was all.
select
    a.ord, tally.seen, tally.ready, tally.delayed, tally.leased,
    extract(epoch from moment.now - tally.oldest)::float8 as oldest_ready_age
from (select clock_timestamp() as now offset 0) as moment
cross join unnest($1::bigint[], $2::interval[]) with ordinality as a (number, retention, ord)
cross join lateral (
    select
        count(*) as seen,
        count(*) filter (where part.visible_at <= moment.now and part.live) as ready,
        count(*) filter (where part.visible_at > moment.now and part.lease is null and part.live) as delayed,
        count(*) filter (where part.visible_at > moment.now and part.lease is not null) as leased,
        min(part.visible_at) filter (where part.visible_at <= moment.now and part.live) as oldest
    from (
        select
            m.visible_at, m.lease,
            coalesce(m.expires_at, m.first_visible_at + a.retention, 'infinity') > moment.now as live
        from message as m
        where m.queue_number = a.number
        limit $3 + 1
    ) as part
) as tally
order by a.ord;

-- name: ahead
-- What is not ready yet, and the oldest of what is.
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
-- Messages that became visible after $2 and up to $3: by the index alone, where vacuum has been.
select count(*) as ready
from queue
cross join unnest(queue.urgencies) as level (urgency)
join message as m on m.queue_number = $1 and m.urgency = level.urgency and m.visible_at > $2 and m.visible_at <= $3
where queue.number = $1;

-- name: bound
-- Where a segment that begins after $2 ends, if it is to hold at least $4 messages and up to ten times as many;
-- nothing: there are fewer of each priority up to $3.
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
