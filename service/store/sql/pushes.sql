-- name: webhooks
-- Webhooks that have messages to deliver and may do so, without those in $2, locked until the transaction ends.
-- Projects take turns, and within a project its webhooks, the longest unserved first.
with moment as materialized (
    select clock_timestamp() as now
), due as materialized (
    select w.id, row_number() over (partition by queue.project_id order by w.served_at) as turn, w.served_at
    from moment
    cross join webhook as w
    join queue on queue.id = w.queue_id
    where w.enabled and coalesce(greatest(w.paused_until, w.open_until) <= moment.now, true) and not queue.paused
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
        where w.id = chosen.id and w.enabled and coalesce(greatest(w.paused_until, w.open_until) <= moment.now, true)
        for update skip locked
    ) as w
), served as (
    update webhook as w set served_at = moment.now from moment, held where w.id = held.id
)
select
    held.*, queue.project_id, queue.number, queue.version, queue.name as queue_name, queue.type = 'fifo' as is_fifo,
    -- A bucket holds at most a tenth of a second's requests, so that the rate is kept within any second.
    case when held.rate_limit is not null then least(
        greatest(held.rate_limit / 10, 1),
        webhook_tokens(held.allowance, held.allowed_at, held.rate_limit, moment.now)
    ) end as tokens
from moment
cross join held
join queue on queue.id = held.queue_id
order by held.turn, held.served_at;

-- name: spend
-- Stores how many requests these webhooks have left in their buckets.
update webhook as w
set allowance = a.tokens, allowed_at = clock_timestamp()
from unnest($1::bigint[], $2::float8[]) as a (id, tokens)
where w.id = a.id;

-- name: in_flight
-- How many messages each of these webhooks has leased. A statement of its own, after the webhooks are locked, so that
-- its snapshot has everything that the transactions which held them before have committed.
select a.id, held.messages
from unnest($1::bigint[], $2::bigint[]) as a (number, id)
cross join lateral (
    select count(*) as messages
    from message as m
    where m.queue_number = a.number and m.pushed_by = a.id and m.lease is not null and m.visible_at > clock_timestamp()
) as held;

-- name: idle
-- Whether no webhook is enabled.
select not exists (select from webhook where enabled) as idle;

-- name: report
-- Stores the outcomes of webhooks' requests since the last report, unless a webhook has changed since they were made:
-- how many failed after the last success, if there was one. Ten failures in a row open the circuit if the last success
-- is more than 30 s ago: for 10 s at first, then each time twice as long, up to 10 minutes. A pause that the receiver
-- asked for is kept separately: a success closes the circuit and leaves the pause as it is.
with moment as materialized (
    select clock_timestamp() as now
), seen as materialized (
    select
        w.id, a.succeeded, a.disabled, a.pause,
        case when a.succeeded then a.error else coalesce(a.error, w.last_error) end as last_error,
        case when a.succeeded then 0 else w.failures end + a.failed as failures,
        case when a.succeeded then 0 else w.openings end as openings,
        case when a.succeeded then moment.now else w.last_success_at end as last_success_at,
        greatest(w.paused_until, w.open_until) as held_until
    from moment
    cross join unnest($1::bigint[], $2::timestamptz[], $3::boolean[], $4::integer[], $5::interval[], $6::boolean[],
        $7::text[]
    ) as a (id, updated_at, succeeded, failed, pause, disabled, error)
    cross join lateral (
        select w.* from webhook as w where w.id = a.id and w.updated_at = a.updated_at for update
    ) as w
), judged as (
    select
        seen.*,
        seen.failures >= 10 and coalesce(seen.last_success_at < moment.now - interval '30 seconds', true)
            and coalesce(seen.held_until <= moment.now, true) as opens
    from seen
    cross join moment
)
update webhook as w
set failures = judged.failures,
    openings = judged.openings + judged.opens::integer,
    last_success_at = judged.last_success_at,
    enabled = w.enabled and not judged.disabled,
    gone = w.gone or judged.disabled,
    last_error = judged.last_error,
    paused_until = greatest(w.paused_until, moment.now + judged.pause),
    open_until = case
        when judged.opens then
            moment.now + least(interval '10 seconds' * power(2, least(judged.openings, 10)), interval '10 minutes')
        when judged.succeeded then null
        else w.open_until
    end
from judged, moment
where w.id = judged.id;
