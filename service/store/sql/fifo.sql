-- A transaction that adds, leases or removes messages of a fifo queue holds the row of their group. It looks at the
-- messages in a statement that begins after it got the row's lock: the snapshot of the statement that waits for the
-- lock would show them as they were before.

-- name: send
-- Locks the groups first, in order. Their rows are held until the commit, so places within a group are assigned in the
-- order in which senders are answered.
with moment as materialized (
    select pg_current_xact_id() as xid, clock_timestamp() as now
), sent as materialized (
    select s.*, due.at
    from moment
    cross join unnest(
        $1::bigint[], $2::bigint[], $3::uuid[], $4::bytea[], $5::interval[], $6::timestamptz[], $7::interval[],
        $8::integer[], $9::text[], {{10.given}}
    ) with ordinality as s (
        queue_number, version, id, body, delay, deliver_at, ttl, size, message_group, {{given}}, ord
    )
    join queue on queue.number = s.queue_number and queue.version = s.version
    cross join lateral (select greatest(moment.now + s.delay, s.deliver_at) as at) as due
), grown as (
    insert into fifo_group (queue_number, name, ready_at, last_seq, depth)
    select queue_number, message_group, (array_agg(at order by ord))[1], count(*), count(*)
    from sent
    group by queue_number, message_group
    order by queue_number, message_group
    on conflict (queue_number, name) do update
    set last_seq = fifo_group.last_seq + excluded.depth, depth = fifo_group.depth + excluded.depth,
        -- A group without messages was created by this very transaction (transactions.lock_groups).
        ready_at = case when fifo_group.depth = 0 then excluded.ready_at else fifo_group.ready_at end
    returning queue_number, name, last_seq
), stored as (
    insert into message (
        queue_number, id, visible_at, first_visible_at, expires_at, size, message_group, seq, body, {{given}}
    )
    select
        s.queue_number, s.id, s.at, s.at, s.at + s.ttl, s.size, s.message_group,
        grown.last_seq + 1 - row_number() over (partition by s.queue_number, s.message_group order by s.ord desc),
        s.body, {{s.given}}
    from sent as s
    join grown on grown.queue_number = s.queue_number and grown.name = s.message_group
    returning queue_number
)
select now, array(select distinct queue_number from stored) as stored from moment;

-- name: ready
-- Groups whose first messages may be leased, longest ready first, locked until the transaction ends.
-- As in receives.claim, `upto` is read before the transaction has a number.
with moment as materialized (
    select clock_timestamp() as upto, pg_current_xact_id() as xid
), ask as materialized (
    select a.ord, a.number, a.mark, a.wanted, queue.number is not null as current
    from unnest($1::bigint[], $2::bigint[], $3::timestamptz[], $4::integer[]) with ordinality
        as a (number, version, mark, wanted, ord)
    left join queue on queue.number = a.number and queue.version = a.version
), held as materialized (
    select ask.ord, found.name, found.depth
    from moment
    cross join ask
    cross join lateral (
        select g.name, g.depth
        from fifo_group as g
        where g.queue_number = ask.number and g.ready_at between ask.mark and moment.upto
            and g.ready_at > '-infinity'
        order by g.ready_at, g.name
        limit ask.wanted
        for update skip locked
    ) as found
    where ask.current
)
select
    ask.ord, ask.current, moment.upto, moment.xid::text::bigint as xid,
    pg_snapshot_xmin(pg_current_snapshot())::text::bigint as xmin,
    (
        select g.ready_at
        from fifo_group as g
        where g.queue_number = ask.number and g.ready_at between ask.mark and moment.upto
            and g.ready_at > '-infinity'
        order by g.ready_at
        limit 1
    ) as lowest,
    null::text as name, null::bigint as depth
from moment
cross join ask
union all
select ord, null, null, null, null, null, name, depth
from held;

-- name: take
-- Leases the first messages of locked groups, as many as fit the receiver's answer, and none from the first one on that
-- is delayed, or has no delivery left and is about to be moved.
with moment as materialized (
    select clock_timestamp() as now
), ask as materialized (
    select a.*, queue.retention, coalesce(queue.max_receives, 2147483647) as max_receives
    from unnest(
        $1::integer[], $2::bigint[], $3::text[], $4::integer[], $5::bigint[], $6::interval[], $7::bigint[], $8::uuid[],
        $9::smallint[]
    ) with ordinality as a (receiver, number, name, wanted, bytes, timeout, webhook, taken_by, taken_via, ord)
    join queue on queue.number = a.number
), run as materialized (
    select
        ask.ord, ask.receiver, ask.number, ask.timeout, ask.webhook, ask.taken_by, ask.taken_via, ask.max_receives, ask.bytes,
        first.place, first.seq, first.visible_at, first.lapsed,
        bool_and(first.visible_at <= moment.now and first.receive_count < ask.max_receives)
            over (partition by ask.ord order by first.seq) as free,
        sum(first.size) over (partition by ask.receiver order by ask.ord, first.seq) - first.size as before
    from moment
    cross join ask
    cross join lateral (
        select m.ctid as place, m.seq, m.size, m.visible_at, m.receive_count, m.lease is not null as lapsed
        from message as m
        where m.queue_number = ask.number and m.message_group = ask.name and m.seq is not null
            and coalesce(m.expires_at, m.first_visible_at + ask.retention, 'infinity') > moment.now
        order by m.seq
        limit ask.wanted
    ) as first
), place as materialized (
    select * from run where free and (before < bytes or before = 0)
), taken as (
    update message as m
    set visible_at = moment.now + place.timeout,
        -- As in receives.claim, a webhook's deliveries are counted separately.
        receive_count = m.receive_count + (place.webhook is null)::integer,
        attempts = m.attempts + (place.webhook is not null)::integer,
        pushed_by = place.webhook,
        lease = $10,
        taken_by = place.taken_by,
        taken_via = place.taken_via,
        taken_under = $10,
        exhausted_at = case
            when place.webhook is null and m.receive_count + 1 >= place.max_receives then moment.now + place.timeout
        end,
        first_received_at = coalesce(m.first_received_at, moment.now)
    from moment, place
    -- No other transaction can change a message of the group without its lock, so each row is where it was read.
    where m.ctid = place.place
    -- Column by column, as in receives.claim.
    returning
        place.receiver, place.ord, m.seq, place.lapsed, {{m.leased}}
), passed as (
    -- If nothing was leased from a group, a chore removes what has expired or has no delivery left within a second.
    update fifo_group as g
    set ready_at = case
            when exists (select from place where place.ord = ask.ord) then moment.now + ask.timeout
            when exists (select from run where run.ord = ask.ord and run.free) then moment.now
            else moment.now + interval '1 second'
        end
    from moment
    cross join ask
    cross join lateral (
        select h.ctid as place from fifo_group as h where h.queue_number = ask.number and h.name = ask.name limit 1
    ) as held
    where g.ctid = held.place
)
select receiver, ord, seq, lapsed, {{leased}}
from taken;

-- name: due
-- When the next group of each queue becomes ready, if that is soon, after the time of the look that found nothing.
select a.number, soon.ready_at as visible_at
from unnest($1::bigint[]) as a (number)
cross join lateral (
    select g.ready_at
    from fifo_group as g
    where g.queue_number = a.number
        and g.ready_at > $2::timestamptz and g.ready_at <= $2::timestamptz + $3::interval and g.ready_at > '-infinity'
    order by g.ready_at
    limit 1
) as soon;

-- name: lock
-- Locks the groups of these messages, in order, waiting for other transactions; returns the group of each message.
-- The queues are looked up first, because otherwise the planner may search every queue for the message.
with asked as materialized (
    select r.ord, r.id, queue.number
    from unnest($1::bigint[], $2::uuid[]) with ordinality as r (queue_id, id, ord)
    join queue on queue.id = r.queue_id
), mine as materialized (
    select asked.ord, asked.number, m.message_group as name
    from asked
    cross join lateral (
        select m.message_group from message as m where m.queue_number = asked.number and m.id = asked.id limit 1
    ) as m
), wanted as materialized (
    select distinct number, name from mine order by number, name
), held as materialized (
    select g.name
    from wanted
    cross join lateral (
        select g.name
        from fifo_group as g
        where g.queue_number = wanted.number and g.name = wanted.name
        for update
    ) as g
)
select ord, number, name, (select count(*) from held) as held from mine;

-- name: lock_leaving
-- The same for messages of which some may leave their queue: rejected ones ($4 true), and those released ($4 false)
-- without a delivery left. Their groups in the dead-letter queue are locked as well, in the same order, and created if
-- they do not exist yet. `target` is the number of that queue.
with asked as materialized (
    select r.ord, r.id, r.lease, r.rejected, queue.number, queue.max_receives, dead.number as dead_number
    from unnest($1::bigint[], $2::uuid[], $3::bigint[], $4::boolean[]) with ordinality
        as r (queue_id, id, lease, rejected, ord)
    join queue on queue.id = r.queue_id
    left join queue as dead on dead.project_id = queue.project_id and dead.name = queue.dead_letter_queue
        and dead.type = 'fifo'
), mine as materialized (
    select
        asked.ord, asked.number, m.message_group as name,
        case when m.lease = asked.lease and (asked.rejected or m.receive_count >= asked.max_receives) then
            case when asked.rejected is not null then asked.dead_number end
        end as target
    from asked
    cross join lateral (
        select m.message_group, m.lease, m.receive_count
        from message as m
        where m.queue_number = asked.number and m.id = asked.id
        limit 1
    ) as m
), wanted as materialized (
    select number, name from mine
    union
    select target, name from mine where target is not null
), held as (
    insert into fifo_group (queue_number, name, ready_at, last_seq, depth)
    select wanted.number, wanted.name, moment.now, 0, 0
    from wanted
    cross join (select clock_timestamp() as now offset 0) as moment
    order by wanted.number, wanted.name
    on conflict (queue_number, name) do update set depth = fifo_group.depth
)
select ord, number, name, target from mine;

-- name: try_lock
-- Locks the groups of these messages, and those of the same name in the queues with the numbers $3, without waiting for
-- other transactions. Returns a row for each message with its group, then a row without an id for each locked group.
with mine as materialized (
    select r.number, r.id, r.target, m.message_group as name
    from unnest($1::bigint[], $2::uuid[], $3::bigint[]) as r (number, id, target)
    cross join lateral (
        select m.message_group from message as m where m.queue_number = r.number and m.id = r.id limit 1
    ) as m
), wanted as materialized (
    select number, name from mine
    union
    select target, name from mine where target is not null
), held as materialized (
    select g.queue_number, g.name
    from wanted
    cross join lateral (
        select g.queue_number, g.name
        from fifo_group as g
        where g.queue_number = wanted.number and g.name = wanted.name
        for update skip locked
    ) as g
)
select number, id, target, name from mine
union all
select queue_number, null, null, name from held;

-- name: refresh
-- Computes again from when on groups are ready, after $3 messages were removed from each. The caller holds the groups.
-- A group is ready when none of its messages is leased and its first one is visible; expired messages hold up no
-- others. Looking at the first $4 messages is enough: one answer carries fewer, so leased messages are always among
-- them.
with moment as materialized (
    select clock_timestamp() as now
), touched as materialized (
    select g.place, g.queue_number, g.name, g.depth - r.removed as depth, queue.id as queue_id, state.ready_at
    from moment
    cross join unnest($1::bigint[], $2::text[], $3::bigint[]) as r (number, name, removed)
    -- One by one, by number and name: a planner that expects few groups would read all of a queue's, dead rows
    -- included.
    cross join lateral (
        select g.*, g.ctid as place from fifo_group as g where g.queue_number = r.number and g.name = r.name limit 1
    ) as g
    join queue on queue.number = r.number
    cross join lateral (
        select greatest(
            max(first.visible_at) filter (where first.lease is not null),
            (array_agg(first.visible_at order by first.seq))[1],
            moment.now
        ) as ready_at
        from (
            select m.seq, m.visible_at, m.lease
            from message as m
            where m.queue_number = g.queue_number and m.message_group = g.name and m.seq is not null
                and (
                    (m.lease is not null and m.visible_at > moment.now)
                    or coalesce(m.expires_at, m.first_visible_at + queue.retention, 'infinity') > moment.now
                )
            order by m.seq
            limit $4
        ) as first
    ) as state
), emptied as (
    delete from fifo_group as g
    using touched
    where g.ctid = touched.place and touched.depth <= 0
), settled as (
    update fifo_group as g
    set depth = touched.depth, ready_at = touched.ready_at
    from touched
    where g.ctid = touched.place and touched.depth > 0
)
select queue_id, min(ready_at) as ready_at from touched where depth > 0 group by queue_id;
