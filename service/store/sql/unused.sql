-- name: look
-- Looks at queues with `expires_after`: up to $1 that are due for a look, or only the one with the id $2. Stores when
-- each was last used, and returns whether that is long enough ago.
-- A queue is used by a send, a receive or a delete, in whatever way; a consumer that waits; a leased message; a
-- subscription or a change of the configuration, which write `used_at` themselves. The margin $3 allows for the few
-- seconds of activity that processes have not stored yet.
with moment as materialized (
    select clock_timestamp() as now
), named as materialized (
    (
        select q.id
        from queue as q
        where q.use_due_at <= (select now from moment) and $2::bigint is null
        order by q.use_due_at
        limit $1
    )
    union all
    select $2::bigint where $2::bigint is not null
), due as materialized (
    select held.*
    from named
    cross join lateral (
        select q.id, q.number, q.used_at, q.expires_after
        from queue as q
        where q.id = named.id and q.expires_after is not null
        for no key update skip locked
    ) as held
), seen as materialized (
    select
        due.id,
        due.expires_after,
        greatest(due.used_at, activity.at, consumers.at, newest.at, leased.at) as used_at
    from moment
    cross join due
    cross join lateral (
        select max(a.at) + interval '10 seconds' as at
        from queue_activity as a
        where a.queue_id = due.id and (a.sent > 0 or a.received > 0 or a.deleted > 0 or a.attempts > 0)
    ) as activity
    cross join lateral (
        select max(c.asked_at) as at from consumer as c where c.queue_id = due.id
    ) as consumers
    cross join lateral (
        -- The time that is part of the newest message's id.
        select to_timestamp(('x' || left(replace(max(last.id::text), '-', ''), 12))::bit(48)::bigint / 1000.0) as at
        from (
            select m.id from message as m where m.queue_number = due.number order by m.id desc limit 1
        ) as last
    ) as newest
    cross join lateral (
        select case when bool_or(hidden.lease is not null) then moment.now end as at
        from (
            select m.lease
            from message as m
            where m.queue_number = due.number and m.visible_at > moment.now
            order by m.queue_number, m.urgency, m.visible_at
            limit 1000
        ) as hidden
    ) as leased
)
update queue
set used_at = seen.used_at,
    -- Activity is kept for an hour, so each queue is looked at more often than that.
    use_due_at = case
        when seen.used_at + seen.expires_after + $3::interval <= moment.now then moment.now + interval '1 minute'
        else least(seen.used_at + seen.expires_after + $3::interval, moment.now + interval '30 minutes')
    end
from seen, moment
where queue.id = seen.id
returning queue.id, queue.project_id, seen.used_at + seen.expires_after + $3::interval <= moment.now as is_unused;
