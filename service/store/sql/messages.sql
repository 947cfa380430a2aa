-- name: send
-- The transaction's number first, the time after it: no row's visible_at is then older than its transaction, which is what
-- the mark of a claim relies on (service/store/marks.py).
with moment as materialized (
    select pg_current_xact_id() as xid, clock_timestamp() as now
), stored as (
    insert into message (
        queue_number, id, visible_at, first_visible_at, expires_at, size, urgency, message_group,
        is_json, content_type, headers, traceparent, tracestate, body, published
    )
    select
        s.queue_number, s.id, due.at, due.at, due.at + s.ttl, s.size, s.urgency, s.message_group,
        s.is_json, s.content_type, s.headers, s.traceparent, s.tracestate, s.body, s.published
    from moment
    cross join unnest(
        $1::bigint[], $2::bigint[], $3::uuid[], $4::bytea[], $5::interval[], $6::timestamptz[], $7::interval[],
        $8::integer[], $9::boolean[], $10::text[], $11::bytea[], $12::text[], $13::text[], $14::text[], $15::smallint[], $16::text[]
    ) as s (
        queue_number, version, id, body, delay, deliver_at, ttl,
        size, is_json, content_type, headers, traceparent, tracestate, message_group, urgency, published
    )
    -- A queue that was changed, purged or deleted since the caller looked takes nothing.
    join queue on queue.number = s.queue_number and queue.version = s.version
    cross join lateral (select greatest(moment.now + s.delay, s.deliver_at) as at) as due
    returning queue_number
)
select now, array(select distinct queue_number from stored) as stored from moment;

-- name: send_plain
-- The same for messages that are nothing but a JSON body, which is most of them: a third of the parameters to encode.
with moment as materialized (
    select pg_current_xact_id() as xid, clock_timestamp() as now
), stored as (
    insert into message (queue_number, id, visible_at, first_visible_at, size, is_json, body)
    select s.queue_number, s.id, moment.now + queue.delay, moment.now + queue.delay, octet_length(s.body), true, s.body
    from moment
    cross join unnest($1::bigint[], $2::bigint[], $3::uuid[], $4::bytea[]) as s (queue_number, version, id, body)
    join queue on queue.number = s.queue_number and queue.version = s.version
    returning queue_number
)
select now, array(select distinct queue_number from stored) as stored from moment;

-- name: claim
-- `upto` is read before the transaction has a number and `now` after it: see service/store/marks.py.
with moment as materialized (
    select clock_timestamp() as upto, pg_current_xact_id() as xid, clock_timestamp() as now
), ask as materialized (
    select
        a.ord, a.number, a.mark, a.wanted, a.bytes, a.timeout, a.webhook, queue.number is not null as current,
        queue.retention, queue.urgencies, coalesce(queue.max_receives, 2147483647) as max_receives
    from unnest(
        $1::bigint[], $2::bigint[], $3::timestamptz[], $4::integer[], $5::bigint[], $6::interval[], $8::bigint[]
    ) with ordinality as a (number, version, mark, wanted, bytes, timeout, webhook, ord)
    left join queue on queue.number = a.number and queue.version = a.version
), place as materialized (
    select ask.ord, ask.timeout, ask.max_receives, ask.webhook, cut.ctid, cut.visible_at, cut.lapsed
    from moment
    cross join ask
    cross join lateral (
        select run.ctid, run.visible_at, run.lapsed
        from (
            -- In the order in which they are found: the most urgent first, then by time.
            select ready.ctid, ready.visible_at, ready.lapsed,
                sum(ready.size) over (rows unbounded preceding) - ready.size as before
            from (
                select found.*
                from unnest(ask.urgencies) as level (urgency)
                cross join lateral (
                    select m.ctid, m.visible_at, m.size, m.lease is not null as lapsed
                    from message as m
                    where m.queue_number = ask.number and m.urgency = level.urgency
                        and m.visible_at between ask.mark and moment.upto
                        and coalesce(m.expires_at, m.first_visible_at + ask.retention, 'infinity') > moment.upto
                        and m.receive_count < ask.max_receives
                    order by m.visible_at, m.id
                    limit ask.wanted
                    for update skip locked
                ) as found
                limit ask.wanted
            ) as ready
        ) as run
        where run.before < ask.bytes
    ) as cut
    where ask.current
), taken as (
    update message as m
    set visible_at = moment.now + place.timeout,
        -- A webhook's deliveries are counted apart.
        receive_count = m.receive_count + (place.webhook is null)::integer,
        attempts = m.attempts + (place.webhook is not null)::integer,
        pushed_by = place.webhook,
        lease = $7,
        exhausted_at = case
            when place.webhook is null and m.receive_count + 1 >= place.max_receives then moment.now + place.timeout
        end,
        first_received_at = coalesce(m.first_received_at, moment.now)
    from moment, place
    where m.ctid = place.ctid
    returning place.ord, place.visible_at as position, place.lapsed, m.*
)
select
    ask.ord, ask.current, null::boolean as lapsed, null::timestamptz as position, moment.upto, moment.xid::text::bigint as xid,
    pg_snapshot_xmin(pg_current_snapshot())::text::bigint as xmin,
    -- Seen by a plain look, rows that others have locked included.
    (
        select min(seen.visible_at)
        from unnest(ask.urgencies) as level (urgency)
        cross join lateral (
            select m.visible_at
            from message as m
            where m.queue_number = ask.number and m.urgency = level.urgency
                and m.visible_at between ask.mark and moment.upto
            order by m.visible_at
            limit 1
        ) as seen
    ) as lowest,
    null::uuid as id, null::timestamptz as lease_expires_at, null::timestamptz as first_received_at,
    null::integer as receive_count, null::integer as size, null::smallint as urgency, null::boolean as is_json,
    null::text as content_type, null::bytea as headers, null::text as message_group, null::text as last_error,
    null::text as traceparent, null::text as tracestate, null::bytea as body, null::text as dead_letter,
    null::integer as attempts, null::text as published
from moment
cross join ask
union all
select
    ord, null, lapsed, position, null, null, null, null,
    id, visible_at, first_received_at, receive_count, size, urgency, is_json,
    content_type, headers, message_group, last_error, traceparent, tracestate, body, dead_letter::text, attempts, published
from taken;

-- name: release_delay
-- Ready now; what counts from when they would have become so counts from now.
update message as m
set visible_at = moment.now,
    first_visible_at = least(m.first_visible_at, moment.now),
    expires_at = m.expires_at - (m.first_visible_at - least(m.first_visible_at, moment.now))
from (select clock_timestamp() as now offset 0) as moment
where m.queue_number = $1 and m.id = any($2::uuid[]) and m.lease is null and m.visible_at > moment.now;

-- name: due
-- When the next message of each queue becomes visible, if that is soon; counted from the time of the look that found
-- nothing, so that none falls between the two.
select a.number, min(soon.visible_at) as visible_at
from unnest($1::bigint[]) as a (number)
join queue on queue.number = a.number
cross join unnest(queue.urgencies) as level (urgency)
cross join lateral (
    select m.visible_at
    from message as m
    where m.queue_number = a.number and m.urgency = level.urgency
        and m.visible_at > $2::timestamptz and m.visible_at <= $2::timestamptz + $3::interval
    order by m.visible_at
    limit 1
) as soon
group by a.number;

-- name: floor
-- The lowest transaction of our own connections. The snapshot, with the number that comes next, is older than the look
-- at the sessions: who is not seen running has ended, or started later.
select
    pg_snapshot_xmax(pg_current_snapshot())::text::bigint as next_xid,
    array(
        select backend_xid::text::bigint
        from pg_stat_activity
        where application_name like 'restante%' and datname = current_database() and backend_xid is not null
    ) as running;
