-- name: queues
-- Queues with a retention that were changed since $1.
select number, updated_at from queue where updated_at >= $1 and retention is not null order by updated_at;

-- name: look
-- The first message of each queue, by when it becomes visible and by when it was sent, from where earlier looks ended.
-- Queues that were deleted, or have no retention any more, are missing.
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
-- These statements find messages that have to leave their queue; store/messaging/moves.py locks and moves them.
-- Messages without a delivery left are not among them: they leave with a reason of their own (dead_letters.exhausted).
-- Messages that were not leased since they became visible: their retention began at visible_at.
with mine as materialized (
    select number, retention, urgencies, clock_timestamp() as now from queue where number = $1
), old as materialized (
    select mine.number, found.id, found.version, found.seq, found.size
    from mine
    cross join unnest(mine.urgencies) as level (urgency)
    cross join lateral (
        select m.id, m.xmin::text::bigint as version, m.seq, m.size
        from message as m
        where m.queue_number = mine.number and m.urgency = level.urgency
            and m.visible_at >= $2 and m.visible_at <= mine.now - mine.retention
            and m.expires_at is null and m.exhausted_at is null
        order by m.visible_at, m.seq
        limit $3
    ) as found
)
select number, id, version, seq, size from old;

-- name: expire_returned
-- The others: messages whose visible_at has changed because they were released or their lease ended. Never a leased
-- one.
with mine as materialized (
    select number, retention, clock_timestamp() as now from queue where number = $1
), old as materialized (
    select mine.number, found.id, found.version, found.seq, found.size
    from mine
    cross join lateral (
        select m.id, m.xmin::text::bigint as version, m.seq, m.size
        from message as m
        where m.queue_number = mine.number and m.id >= $2 and m.id < $3
            and m.expires_at is null
            and m.first_visible_at + mine.retention <= mine.now
            and m.exhausted_at is null and not (m.lease is not null and m.visible_at > mine.now)
        order by m.id
        limit $4
    ) as found
)
select number, id, version, seq, size from old;

-- name: expire_moved
-- Messages that came from another queue. They may have been sent long before their retention began, so the look by time
-- of sending may have passed their place already.
with mine as materialized (
    select number, retention, clock_timestamp() as now from queue where number = $1
), old as materialized (
    select mine.number, found.id, found.version, found.seq, found.size
    from mine
    cross join lateral (
        select m.id, m.xmin::text::bigint as version, m.seq, m.size
        from message as m
        where m.queue_number = mine.number and m.moved
            and m.first_visible_at <= mine.now - mine.retention
            and m.expires_at is null
            and m.exhausted_at is null and not (m.lease is not null and m.visible_at > mine.now)
        order by m.first_visible_at, m.seq
        limit $2
    ) as found
)
select number, id, version, seq, size from old;

-- name: kept
-- Messages that were sent long enough ago to have expired, but are kept because they are delayed or leased: the first
-- of them, and when to look again. For leased messages that is at once, as they may be released at any time.
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
-- Messages with a ttl of their own. The recursion hops from queue to queue along the partial index of these messages.
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
    select queue.number, found.id, found.version, found.seq, found.size
    from moment
    cross join holder
    join queue on queue.number = holder.queue_number
    cross join lateral (
        select m.id, m.xmin::text::bigint as version, m.seq, m.size
        from message as m
        where m.queue_number = holder.queue_number and m.expires_at <= moment.now
            and m.exhausted_at is null and not (m.lease is not null and m.visible_at > moment.now)
        order by m.expires_at, m.seq
        limit $1
    ) as found
    limit $1
)
select number, id, version, seq, size from old;
