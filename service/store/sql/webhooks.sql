-- name: waiting
-- What keeps each webhook of a queue from delivering the next message.
select
    w.enabled, w.openings > 0 as is_probing, coalesce(w.paused_until > moment.now, false) as is_paused,
    case when held_until.at > moment.now then held_until.at end as held_until,
    held.messages >= case when w.openings > 0 then 1 else w.max_concurrency end as is_full,
    coalesce(webhook_tokens(w.allowance, w.allowed_at, w.rate_limit, moment.now), 1) < 1 as is_spent
from (select clock_timestamp() as now offset 0) as moment
join queue on queue.id = $1
join webhook as w on w.queue_id = queue.id
cross join lateral (select greatest(w.paused_until, w.open_until) as at) as held_until
cross join lateral (
    select count(*) as messages
    from message as m
    where m.queue_number = queue.number and m.pushed_by = w.id and m.lease is not null and m.visible_at > moment.now
) as held
-- The webhook that will be free first comes first.
order by w.enabled desc, coalesce(held_until.at > moment.now, false), held_until.at;

-- name: state
-- How many webhooks are in each state, and how long the oldest ready message for an enabled webhook has waited.
with moment as materialized (
    select clock_timestamp() as now
), seen as (
    select
        queue.number, queue.type, queue.urgencies, queue.paused,
        webhook_state(w.enabled, w.paused_until, w.openings, moment.now) as state
    from moment
    cross join webhook as w
    join queue on queue.id = w.queue_id
)
select
    count(*) filter (where seen.state = 'active') as active,
    count(*) filter (where seen.state = 'paused') as paused,
    count(*) filter (where seen.state = 'circuit_open') as circuit_open,
    count(*) filter (where seen.state = 'disabled') as disabled,
    coalesce(
        extract(epoch from max(moment.now - waiting.since) filter (where seen.state <> 'disabled' and not seen.paused)), 0
    )::float8 as backlog_age
from moment
left join seen on true
left join lateral (
    select min(first.since) as since
    from (
        (
            select g.ready_at as since
            from fifo_group as g
            where seen.type = 'fifo' and g.queue_number = seen.number and g.ready_at <= moment.now
                and g.ready_at > '-infinity'
            order by g.ready_at
            limit 1
        )
        union all
        select ready.visible_at
        from unnest(seen.urgencies) as level (urgency)
        cross join lateral (
            select m.visible_at
            from message as m
            where seen.type <> 'fifo' and m.queue_number = seen.number and m.urgency = level.urgency
                and m.visible_at <= moment.now
            order by m.visible_at
            limit 1
        ) as ready
    ) as first
) as waiting on true;
