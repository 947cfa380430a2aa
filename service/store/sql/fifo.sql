-- Whoever adds, takes or removes messages of a fifo queue holds the row of their group, and looks at the messages in a
-- statement that begins after it got it: within one statement they would be seen as they were before.

-- name: send
-- The groups first, in order: their rows are held until the commit, so that places within a group are given in the order in
-- which senders are answered.
with moment as materialized (
    select pg_current_xact_id() as xid, clock_timestamp() as now
), sent as materialized (
    select s.*, due.at
    from moment
    cross join unnest(
        $1::bigint[], $2::bigint[], $3::uuid[], $4::bytea[], $5::interval[], $6::timestamptz[], $7::interval[],
        $8::integer[], $9::boolean[], $10::text[], $11::bytea[], $12::text[], $13::text[], $14::text[], $15::text[]
    ) with ordinality as s (
        queue_number, version, id, body, delay, deliver_at, ttl,
        size, is_json, content_type, headers, traceparent, tracestate, message_group, published, ord
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
    set last_seq = fifo_group.last_seq + excluded.depth, depth = fifo_group.depth + excluded.depth
    returning queue_number, name, last_seq
), stored as (
    insert into message (
        queue_number, id, visible_at, first_visible_at, expires_at, size, message_group, seq,
        is_json, content_type, headers, traceparent, tracestate, body, published
    )
    select
        s.queue_number, s.id, s.at, s.at, s.at + s.ttl, s.size, s.message_group,
        grown.last_seq + 1 - row_number() over (partition by s.queue_number, s.message_group order by s.ord desc),
        s.is_json, s.content_type, s.headers, s.traceparent, s.tracestate, s.body, s.published
    from sent as s
    join grown on grown.queue_number = s.queue_number and grown.name = s.message_group
    returning queue_number
)
select now, array(select distinct queue_number from stored) as stored from moment;

-- name: ready
-- Groups of which somebody may take the first messages, the longest ready first; held until they are taken.
-- As in messages.claim: `upto` is read before the transaction has a number.
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
-- Lease the first messages of groups that are held: up to the first that is delayed, or has no delivery left and is about
-- to be moved away; as many as fit the receiver's answer.
with moment as materialized (
    select clock_timestamp() as now
), ask as materialized (
    select a.*, queue.retention, coalesce(queue.max_receives, 2147483647) as max_receives
    from unnest(
        $1::integer[], $2::bigint[], $3::text[], $4::integer[], $5::bigint[], $6::interval[], $7::bigint[]
    ) with ordinality as a (receiver, number, name, wanted, bytes, timeout, webhook, ord)
    join queue on queue.number = a.number
), run as materialized (
    select
        ask.ord, ask.receiver, ask.number, ask.timeout, ask.webhook, ask.max_receives, ask.bytes,
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
        -- As in messages.claim: a webhook's deliveries are counted apart.
        receive_count = m.receive_count + (place.webhook is null)::integer,
        attempts = m.attempts + (place.webhook is not null)::integer,
        pushed_by = place.webhook,
        lease = $8,
        exhausted_at = case
            when place.webhook is null and m.receive_count + 1 >= place.max_receives then moment.now + place.timeout
        end,
        first_received_at = coalesce(m.first_received_at, moment.now)
    from moment, place
    -- Whoever changes a message of a group holds the group: the place is still the one that was read.
    where m.ctid = place.place
    returning place.receiver, place.ord, place.lapsed, m.*
), passed as (
    -- Where nothing was taken, what has expired or has no delivery left goes within a second.
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
select
    receiver, ord, seq, lapsed, id, visible_at as lease_expires_at, first_received_at, receive_count, size, urgency, is_json,
    content_type, headers, message_group, last_error, traceparent, tracestate, body, dead_letter::text as dead_letter,
    attempts, published
from taken;

-- name: due
-- When the next group of each queue becomes ready, if that is soon; counted from the time of the look that found nothing.
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
-- Hold the groups of these messages, in order, waiting for those that others hold; return the group of each.
-- The queues are looked up first: otherwise the planner may look for the message in every queue there is.
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

-- name: try_lock
-- Hold the groups of these messages as far as nobody else does: first a row for each message with its group, then a row
-- without an id for each group that is held.
with mine as materialized (
    select r.number, r.id, m.message_group as name
    from unnest($1::bigint[], $2::uuid[]) as r (number, id)
    cross join lateral (
        select m.message_group from message as m where m.queue_number = r.number and m.id = r.id limit 1
    ) as m
), held as materialized (
    select g.queue_number, g.name
    from (select distinct number, name from mine) as wanted
    cross join lateral (
        select g.queue_number, g.name
        from fifo_group as g
        where g.queue_number = wanted.number and g.name = wanted.name
        for update skip locked
    ) as g
)
select number, id, name from mine
union all
select queue_number, null, name from held;

-- name: refresh
-- Work out anew from when on groups are ready, from which so many messages were removed. Held by the caller. A group is
-- ready when no message of it is leased and its first one is visible; what has expired stands in nobody's way. Those that
-- are leased are among the first $4, more than one answer may carry: only what is among the first is ever taken.
with moment as materialized (
    select clock_timestamp() as now
), touched as materialized (
    select g.place, g.queue_number, g.name, g.depth - r.removed as depth, queue.id as queue_id, state.ready_at
    from moment
    cross join unnest($1::bigint[], $2::text[], $3::bigint[]) as r (number, name, removed)
    -- One by one, by number and name: where the planner believes in few groups it would read all of a queue's, dead ones too.
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

-- name: holder
-- What keeps the message at place $3 from being taken, of the first $4 of its group: the leased one whose lease ends last,
-- else the first before it that is delayed. What has expired stands in nobody's way.
select m.id
from (select clock_timestamp() as now offset 0) as moment
join queue on queue.number = $1
cross join lateral (
    select m.id, m.seq, m.lease, m.visible_at, m.expires_at, m.first_visible_at
    from message as m
    where m.queue_number = queue.number and m.message_group = $2 and m.seq is not null
    order by m.seq
    limit $4
) as m
where m.visible_at > moment.now
    and (
        m.lease is not null
        or m.seq < $3 and coalesce(m.expires_at, m.first_visible_at + queue.retention, 'infinity') > moment.now
    )
order by m.lease is null, case when m.lease is not null then m.visible_at end desc, m.seq
limit 1;

-- name: groups
-- The next groups by name behind $2: of the first $3 all, or those that are held, but the last one always. With what holds
-- those that are held.
with moment as materialized (
    select clock_timestamp() as now
), part as materialized (
    select looked.name, looked.depth, looked.held, looked.place
    from (
        select
            g.name, g.depth, g.ready_at > (select now from moment) as held,
            row_number() over (order by g.name) as place
        from fifo_group as g
        where g.queue_number = $1 and g.name >= coalesce($2, '') collate "C" and g.name is distinct from $2
        order by g.name
        limit $3
    ) as looked
    where looked.held or not $4::boolean or looked.place = $3
    order by looked.name
    limit $5
)
select
    part.name, part.depth, part.held, part.place, held.id, held.lease, held.pushed_by, held.receive_count, held.until
from part
left join lateral (
    select m.id, m.lease, m.pushed_by, m.receive_count, m.visible_at as until
    from (
        select m.id, m.lease, m.pushed_by, m.receive_count, m.visible_at, m.seq
        from message as m
        where part.held and m.queue_number = $1 and m.message_group = part.name and m.seq is not null
        order by m.seq
        limit 101
    ) as m
    where m.visible_at > (select now from moment)
    order by m.lease is null, case when m.lease is not null then m.visible_at end desc, m.seq
    limit 1
) as held on true
order by part.name;
