-- name: claim
-- `upto` is read before the transaction has a number, and `now` after that: see service/store/messaging/marks.py.
with moment as materialized (
    select clock_timestamp() as upto, pg_current_xact_id() as xid, clock_timestamp() as now
), ask as materialized (
    select
        a.ord, a.number, a.mark, a.wanted, a.bytes, a.timeout, a.webhook, a.first, a.last,
        queue.number is not null as current,
        queue.retention, queue.urgencies, coalesce(queue.max_receives, 2147483647) as max_receives
    from unnest(
        $1::bigint[], $2::bigint[], $3::timestamptz[], $4::integer[], $5::bigint[], $6::interval[], $8::bigint[],
        $9::integer[], $10::integer[]
    ) with ordinality as a (number, version, mark, wanted, bytes, timeout, webhook, first, last, ord)
    left join queue on queue.number = a.number and queue.version = a.version
), place as materialized (
    select
        ask.ord, ask.timeout, ask.max_receives, ask.webhook, cut.ctid, cut.visible_at, cut.lapsed,
        -- Which of the takers in $12 and $13 a message of this rank is for.
        ($11::integer[])[least(ask.first + cut.rank, ask.last)::integer] as taker
    from moment
    cross join ask
    cross join lateral (
        select run.ctid, run.visible_at, run.lapsed, run.rank
        from (
            -- In the order in which they are found: most urgent first, then by time.
            select ready.ctid, ready.visible_at, ready.lapsed,
                row_number() over (rows unbounded preceding) as rank,
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
        -- A webhook's deliveries are counted separately.
        receive_count = m.receive_count + (place.webhook is null)::integer,
        attempts = m.attempts + (place.webhook is not null)::integer,
        pushed_by = place.webhook,
        lease = $7,
        taken_by = ($12::uuid[])[place.taker],
        taken_via = ($13::smallint[])[place.taker],
        taken_under = $7,
        exhausted_at = case
            when place.webhook is null and m.receive_count + 1 >= place.max_receives then moment.now + place.timeout
        end,
        first_received_at = coalesce(m.first_received_at, moment.now)
    from moment, place
    where m.ctid = place.ctid
    -- Column by column, because otherwise whole rows would be carried along.
    returning
        place.ord, place.visible_at as position, place.lapsed, {{m.leased}}
)
select
    ask.ord, ask.current, moment.upto, moment.xid::text::bigint as xid,
    pg_snapshot_xmin(pg_current_snapshot())::text::bigint as xmin,
    -- Read without a lock, so that rows which other transactions have locked are included.
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
    null::timestamptz as position, null::boolean as lapsed, {{null.leased}}
from moment
cross join ask
union all
select
    ord, null, null, null, null, null, position, lapsed, {{leased}}
from taken;

-- name: hand_over
-- Corrects the taker of messages that a claim leased for one receive and that another one got instead. A locked message
-- is being settled and needs no correction.
update message as m
set taken_by = given.taken_by, taken_via = given.taken_via
from (
    select held.ctid, r.taken_by, r.taken_via
    from unnest($1::bigint[], $2::uuid[], $3::uuid[], $4::smallint[]) as r (number, id, taken_by, taken_via)
    cross join lateral (
        select m.ctid
        from message as m
        where m.queue_number = r.number and m.id = r.id and m.lease = $5
        for update skip locked
    ) as held
) as given
where m.ctid = given.ctid;

-- name: due
-- When the next message of each queue becomes visible, if that is soon: after the time of the look that found nothing,
-- so that no message falls between the two.
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
-- The running transactions of this service's connections. The snapshot, with the next number to be assigned, is taken
-- before the sessions are read, so a transaction that is not seen running has ended or got its number later.
select
    pg_snapshot_xmax(pg_current_snapshot())::text::bigint as next_xid,
    array(
        select backend_xid::text::bigint
        from pg_stat_activity
        where application_name like 'restante%' and datname = current_database() and backend_xid is not null
    ) as running;
