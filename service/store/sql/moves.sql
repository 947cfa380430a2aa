-- name: open
-- The number of the fifo queue that each message is to go to, as in moves.move. Creates the groups that are missing
-- there, in order and before anything else is locked, so that it waits only for a statement that is creating the same
-- group.
with target as materialized (
    select r.ord, m.message_group as name, t.number
    from unnest($1::bigint[], $2::uuid[], $3::text[], $4::bigint[]) with ordinality
        as r (number, id, reason, to_number, ord)
    join queue as q on q.number = r.number
    cross join lateral (
        select named.number, named.type
        from queue as named
        where named.number = r.to_number
        union all
        select dead.number, dead.type
        from queue as dead
        where r.to_number is null and dead.project_id = q.project_id and dead.name = q.dead_letter_queue
            and (r.reason <> 'expired' or q.dead_letter_expired)
    ) as t
    cross join lateral (
        select m.message_group from message as m where m.queue_number = r.number and m.id = r.id limit 1
    ) as m
    where t.type = 'fifo'
), made as (
    insert into fifo_group (queue_number, name, ready_at, last_seq, depth)
    select missing.number, missing.name, moment.now, 0, 0
    from (select distinct number, name from target) as missing
    cross join (select clock_timestamp() as now offset 0) as moment
    -- One by one, by number and name, as in fifo.refresh.
    left join lateral (
        select true as found from fifo_group as g where g.queue_number = missing.number and g.name = missing.name limit 1
    ) as there on true
    where there.found is null
    order by missing.number, missing.name
    on conflict (queue_number, name) do nothing
)
select ord, number from target;

-- name: hold
-- Locks those of these messages that have not changed since they were found and that no other transaction has locked.
select r.ord
from unnest($1::bigint[], $2::uuid[], $3::bigint[]) with ordinality as r (number, id, version, ord)
cross join lateral (
    select m.id
    from message as m
    where m.queue_number = r.number and m.id = r.id and m.xmin::text::bigint = r.version
    for update skip locked
) as held;

-- name: move
-- Moves messages out of their queue: into the queue with the number $4, or else, for a reason, into the queue's
-- dead-letter queue. If it has none, expired messages and those that may be dropped ($6) are deleted, and all others
-- stay. A message that a webhook has failed to deliver and that may be dropped is deleted in any case. Messages without
-- a target and a reason are deleted. The rows are locked by the caller or here. Messages that come to one group keep
-- their order. As in sends.send, the time is read after the transaction has got its number.
with moment as materialized (
    select pg_current_xact_id() as xid, clock_timestamp() as now
), target as materialized (
    select
        r.ord, r.reason, r.error, held.ctid as place, q.id as from_id, q.name as source_queue,
        t.id as to_id, t.number as to_number, t.type = 'fifo' as to_fifo
    from unnest($1::bigint[], $2::uuid[], $3::text[], $4::bigint[], $5::text[], $6::boolean[]) with ordinality
        as r (number, id, reason, to_number, error, may_drop, ord)
    join queue as q on q.number = r.number
    left join lateral (
        select named.id, named.number, named.type
        from queue as named
        where named.number = r.to_number
        union all
        select dead.id, dead.number, dead.type
        from queue as dead
        where r.to_number is null and dead.project_id = q.project_id and dead.name = q.dead_letter_queue
            and (r.reason <> 'expired' or q.dead_letter_expired) and not (r.reason = 'push_failed' and r.may_drop)
    ) as t on true
    cross join lateral (
        select m.ctid
        from message as m
        where m.queue_number = r.number and m.id = r.id
        for update
    ) as held
    where t.id is not null or r.reason is null or r.reason = 'expired' or r.may_drop
), gone as (
    delete from message as m
    using target
    where m.ctid = target.place
    returning target.*, m.*
), grown as (
    insert into fifo_group (queue_number, name, ready_at, last_seq, depth)
    select gone.to_number, gone.message_group, moment.now, count(*), count(*)
    from gone
    cross join moment
    where gone.to_fifo
    group by gone.to_number, gone.message_group, moment.now
    order by gone.to_number, gone.message_group
    on conflict (queue_number, name) do update
    set last_seq = fifo_group.last_seq + excluded.depth, depth = fifo_group.depth + excluded.depth
    returning queue_number, name, last_seq
), placed as (
    -- How far from the end of its group each message will be. Messages for standard queues need no sorting.
    select gone.*, null::bigint as from_end
    from gone
    where gone.to_number is not null and not gone.to_fifo
    union all
    select gone.*, row_number() over (partition by gone.to_number, gone.message_group order by gone.seq desc, gone.ord desc)
    from gone
    where gone.to_fifo
), arrived as (
    insert into message (
        queue_number, id, visible_at, first_visible_at, size, urgency, message_group, body, {{given}}, seq, dead_letter,
        moved
    )
    select
        placed.to_number, placed.id, moment.now, moment.now, placed.size, placed.urgency, placed.message_group, placed.body,
        {{placed.given}},
        grown.last_seq + 1 - placed.from_end,
        case when placed.reason is not null then jsonb_build_object(
            'source_queue', placed.source_queue,
            'reason', placed.reason,
            'receive_count', placed.receive_count,
            'attempts', placed.attempts,
            'at', to_char(moment.now at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
            'last_error', coalesce(placed.error, placed.last_error)
        ) end,
        true
    from placed
    cross join moment
    left join grown on grown.queue_number = placed.to_number and grown.name = placed.message_group
), crowded as (
    -- Grants of room in the target did not allow for these messages, so they end.
    delete from queue_room
    where queue_number = any(array(select gone.to_number from gone where gone.to_number is not null))
), arriving as (
    -- Priorities that are new to the target have to be added, or its claims would not look for them. The queue's
    -- version stays, because a send to it later in this transaction (store/messaging/transactions.py) relies on it.
    select gone.to_number, array_agg(distinct gone.urgency) as urgencies
    from gone
    where gone.to_number is not null
    group by gone.to_number
), widened as (
    update queue
    set urgencies = array(
        select distinct u.urgency from unnest(queue.urgencies || arriving.urgencies) as u (urgency) order by 1
    )
    from arriving
    where queue.number = arriving.to_number and not queue.urgencies @> arriving.urgencies
)
select reason, from_id, to_id, count(*) as messages from gone group by reason, from_id, to_id;

-- name: stayed
-- Which of these messages are still in their queues.
select r.ord
from unnest($1::bigint[], $2::uuid[]) with ordinality as r (number, id, ord)
where exists (select from message as m where m.queue_number = r.number and m.id = r.id);
