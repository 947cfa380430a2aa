-- name: lanes
-- Webhooks that have something to do and may do it, but for those of $2; held until they are served.
-- Projects take turns, and within a project its webhooks, the longest unserved first.
with moment as materialized (
    select clock_timestamp() as now
), due as materialized (
    select w.id, row_number() over (partition by queue.project_id order by w.served_at) as turn, w.served_at
    from moment
    cross join webhook as w
    join queue on queue.id = w.queue_id
    where w.enabled and coalesce(w.paused_until <= moment.now, true) and not queue.paused
        and not w.id = any($2::bigint[])
        and case when queue.type = 'fifo' then exists (
            select from fifo_group as g where g.queue_number = queue.number and g.ready_at <= moment.now and g.ready_at > '-infinity'
        ) else exists (
            select
            from unnest(queue.urgencies) as level (urgency)
            cross join lateral (
                select from message as m
                where m.queue_number = queue.number and m.urgency = level.urgency and m.visible_at <= moment.now
                limit 1
            ) as ready
        ) end
), held as materialized (
    select w.*, chosen.turn
    from moment
    cross join (select due.id, due.turn from due order by due.turn, due.served_at limit $1) as chosen
    cross join lateral (
        select w.*
        from webhook as w
        where w.id = chosen.id and w.enabled and coalesce(w.paused_until <= moment.now, true)
        for update skip locked
    ) as w
), served as (
    update webhook as w set served_at = moment.now from moment, held where w.id = held.id
)
select
    held.*, queue.project_id, queue.number, queue.version, queue.name as queue_name, queue.type = 'fifo' as is_fifo,
    -- No more than a tenth of a second's worth is kept for later: a rate holds over any second.
    case when held.rate_limit is not null then least(
        greatest(held.rate_limit / 10, 1),
        webhook_tokens(held.allowance, held.allowed_at, held.rate_limit, moment.now)
    ) end as tokens
from moment
cross join held
join queue on queue.id = held.queue_id
order by held.turn, held.served_at;

-- name: spend
-- What these webhooks may still ask after what they have just been given.
update webhook as w
set allowance = a.tokens, allowed_at = clock_timestamp()
from unnest($1::bigint[], $2::float8[]) as a (id, tokens)
where w.id = a.id;

-- name: in_flight
-- How many messages each of these webhooks has under its lease. In a statement of its own, after the webhooks are held:
-- a statement sees what was committed before it began.
select a.id, held.messages
from unnest($1::bigint[], $2::bigint[]) as a (number, id)
cross join lateral (
    select count(*) as messages
    from message as m
    where m.queue_number = a.number and m.pushed_by = a.id and m.lease is not null and m.visible_at > clock_timestamp()
) as held;

-- name: idle
-- Whether no webhook is there to be served, now or later.
select not exists (select from webhook where enabled) as idle;

-- name: report
-- What came of a webhook's requests since the last report, as far as it is still what it was when they were made: how many failed after the last success, if there was one. Ten
-- failures in a row open the circuit when the last success is over 30 s ago: it pauses 10 s, each time twice as long, up
-- to 10 minutes, and longer where the receiver asks for it.
with moment as materialized (
    select clock_timestamp() as now
), seen as materialized (
    select
        w.id, a.succeeded, a.disabled, a.pause,
        case when a.succeeded then 0 else w.failures end + a.failed as failures,
        case when a.succeeded then 0 else w.openings end as openings,
        case when a.succeeded then moment.now else w.last_success_at end as last_success_at,
        w.paused_until
    from moment
    cross join unnest($1::bigint[], $2::timestamptz[], $3::boolean[], $4::integer[], $5::interval[], $6::boolean[])
        as a (id, updated_at, succeeded, failed, pause, disabled)
    cross join lateral (
        select w.* from webhook as w where w.id = a.id and w.updated_at = a.updated_at for update
    ) as w
), judged as (
    select
        seen.*,
        seen.failures >= 10 and coalesce(seen.last_success_at < moment.now - interval '30 seconds', true)
            and coalesce(seen.paused_until <= moment.now, true) as opens
    from seen
    cross join moment
)
update webhook as w
set failures = judged.failures,
    openings = judged.openings + judged.opens::integer,
    last_success_at = judged.last_success_at,
    enabled = w.enabled and not judged.disabled,
    paused_until = case
        when judged.opens then moment.now + greatest(
            judged.pause, least(interval '10 seconds' * power(2, least(judged.openings, 10)), interval '10 minutes')
        )
        when judged.pause is not null then greatest(w.paused_until, moment.now + judged.pause)
        when judged.succeeded then null
        else w.paused_until
    end,
    pause_reason = case
        when judged.disabled then 'gone'
        when judged.opens then 'circuit_open'
        when judged.pause is not null then 'retry_after'
        when judged.succeeded then null
        else w.pause_reason
    end
from judged, moment
where w.id = judged.id;

-- name: blocked
-- Of these messages, those that are blocked after their last attempt; those in somebody's hands are left alone.
select m.id
from unnest($2::uuid[]) as a (id)
cross join lateral (
    select m.id
    from message as m
    where m.queue_number = $1 and m.id = a.id and m.lease is null and m.pushed_by is not null
        and m.visible_at > clock_timestamp()
    for update skip locked
) as m;

-- name: blocked_by
-- The next messages that this webhook has blocked; those in somebody's hands are left alone for now.
select m.id
from message as m
where m.queue_number = $1 and m.pushed_by = $2 and m.lease is null and m.visible_at > clock_timestamp()
limit $3
for update skip locked;

-- name: left_by
-- How many messages this webhook has blocked, or under its lease.
select count(*) as messages
from (
    select
    from message as m
    where m.queue_number = $1 and m.pushed_by = $2 and m.visible_at > clock_timestamp()
    limit 10000
) as part;

-- name: unblock
-- Ready now, and at the beginning of the schedule.
update message as m
set visible_at = clock_timestamp(), attempts = 0, pushed_by = null
where m.queue_number = $1 and m.id = any($2::uuid[]);

-- name: dead
-- Of these messages, those that came to the dead-letter queue numbered $1 from the queue named $3, up to a time. What came
-- later has failed again, and stays; so does what is leased, or in somebody's hands.
select m.id
from unnest($2::uuid[]) as a (id)
cross join lateral (
    select m.id
    from message as m
    where m.queue_number = $1 and m.id = a.id and m.first_visible_at <= $4 and m.dead_letter ->> 'source_queue' = $3
        and not (m.lease is not null and m.visible_at > clock_timestamp())
    for update skip locked
) as m;

-- name: waiting
-- What keeps each webhook of a queue from taking its next message.
select
    w.enabled, w.pause_reason, w.openings > 0 as is_probing,
    case when w.paused_until > moment.now then w.paused_until end as paused_until,
    held.messages >= case when w.openings > 0 then 1 else w.max_concurrency end as is_full,
    coalesce(webhook_tokens(w.allowance, w.allowed_at, w.rate_limit, moment.now), 1) < 1 as is_spent
from (select clock_timestamp() as now offset 0) as moment
join queue on queue.id = $1
join webhook as w on w.queue_id = queue.id
cross join lateral (
    select count(*) as messages
    from message as m
    where m.queue_number = queue.number and m.pushed_by = w.id and m.lease is not null and m.visible_at > moment.now
) as held
-- The one that will be free first.
order by w.enabled desc, coalesce(w.paused_until > moment.now, false), w.paused_until;

-- name: state
-- How many webhooks are in each state, and for how long the message has waited that waits longest for one that is enabled.
with moment as materialized (
    select clock_timestamp() as now
), seen as (
    select
        queue.number, queue.type, queue.urgencies, queue.paused,
        webhook_state(w.enabled, w.paused_until, w.pause_reason, w.openings, moment.now) as state
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
