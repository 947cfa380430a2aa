-- name: queues
-- Queues that keep messages for a time, as far as they were changed since $1.
select number, updated_at from queue where updated_at >= $1 and retention is not null order by updated_at;

-- name: look
-- The first message of each queue, by when it becomes visible and by when it was sent, from where earlier looks ended.
-- Queues that are gone, or keep messages for ever by now, are missing.
select
    q.number, q.retention,
    (
        select min(seen.visible_at)
        from unnest(q.urgencies) as level (urgency)
        cross join lateral (
            select m.visible_at
            from message as m
            where m.queue_number = q.number and m.urgency = level.urgency and m.visible_at >= a.low_visible_at
            order by m.visible_at
            limit 1
        ) as seen
    ) as first_visible_at,
    (
        select m.id
        from message as m
        where m.queue_number = q.number and m.id >= a.low_id
        order by m.id
        limit 1
    ) as first_id,
    (
        select m.first_visible_at
        from message as m
        where m.queue_number = q.number and m.moved
        order by m.first_visible_at
        limit 1
    ) as first_moved_at
from unnest($1::bigint[], $2::timestamptz[], $3::uuid[]) as a (number, low_visible_at, low_id)
join queue as q on q.number = a.number
where q.retention is not null;

-- name: expire_waiting
-- These statements find what is to leave its queue, locked (store/moves.py takes it away). What has no delivery left goes
-- another way, and says so (moves.exhausted).
-- Messages that nobody has touched since they became visible: visible_at is then when their retention began.
with mine as materialized (
    select number, retention, urgencies, clock_timestamp() as now from queue where number = $1
), old as materialized (
    select mine.number, found.id, found.seq, found.size
    from mine
    cross join unnest(mine.urgencies) as level (urgency)
    cross join lateral (
        select m.id, m.seq, m.size
        from message as m
        where m.queue_number = mine.number and m.urgency = level.urgency
            and m.visible_at >= $2 and m.visible_at <= mine.now - mine.retention
            and m.expires_at is null and m.exhausted_at is null
        order by m.visible_at
        limit $3
        for update skip locked
    ) as found
)
select number, id, seq, size from old;

-- name: expire_returned
-- The others: released or with a lease that ran out, so that visible_at has moved. Never one that is leased.
with mine as materialized (
    select number, retention, clock_timestamp() as now from queue where number = $1
), old as materialized (
    select mine.number, found.id, found.seq, found.size
    from mine
    cross join lateral (
        select m.id, m.seq, m.size
        from message as m
        where m.queue_number = mine.number and m.id >= $2 and m.id < $3
            and m.expires_at is null
            and m.first_visible_at + mine.retention <= mine.now
            and m.exhausted_at is null and not (m.lease is not null and m.visible_at > mine.now)
        order by m.id
        limit $4
        for update skip locked
    ) as found
)
select number, id, seq, size from old;

-- name: expire_moved
-- Those that came from another queue: sent long before their retention began, they may stand before where the look by
-- time of sending has come to.
with mine as materialized (
    select number, retention, clock_timestamp() as now from queue where number = $1
), old as materialized (
    select mine.number, found.id, found.seq, found.size
    from mine
    cross join lateral (
        select m.id, m.seq, m.size
        from message as m
        where m.queue_number = mine.number and m.moved
            and m.first_visible_at <= mine.now - mine.retention
            and m.expires_at is null
            and m.exhausted_at is null and not (m.lease is not null and m.visible_at > mine.now)
        order by m.first_visible_at
        limit $2
        for update skip locked
    ) as found
)
select number, id, seq, size from old;

-- name: kept
-- What was sent long enough ago to have expired and has not, being delayed or leased: the first of it, and when to look
-- again. For what is leased that is at once: its holder may release it at any time.
select
    (
        select m.id
        from message as m
        where m.queue_number = q.number and m.id >= $2 and m.id < $3 and m.expires_at is null
        order by m.id
        limit 1
    ) as first_id,
    (
        select min(m.first_visible_at) + q.retention
        from message as m
        where m.queue_number = q.number and m.id >= $2 and m.id < $3 and m.expires_at is null
    ) as due
from queue as q
where q.number = $1;

-- name: expire_own
-- Messages with a ttl of their own. The recursion hops from queue to queue along the partial index, which has only those.
with recursive holder as (
    (select m.queue_number from message as m where m.expires_at is not null order by m.queue_number limit 1)
    union all
    select (
        select m.queue_number
        from message as m
        where m.expires_at is not null and m.queue_number > holder.queue_number
        order by m.queue_number
        limit 1
    )
    from holder
    where holder.queue_number is not null
), moment as materialized (
    select clock_timestamp() as now
), old as materialized (
    select queue.number, found.id, found.seq, found.size
    from moment
    cross join holder
    join queue on queue.number = holder.queue_number
    cross join lateral (
        select m.id, m.seq, m.size
        from message as m
        where m.queue_number = holder.queue_number and m.expires_at <= moment.now
            and m.exhausted_at is null and not (m.lease is not null and m.visible_at > moment.now)
        order by m.expires_at
        limit $1
        for update skip locked
    ) as found
    limit $1
)
select number, id, seq, size from old;
