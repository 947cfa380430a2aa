-- name: move
-- Take messages out of their queue: into the one that is named ($4), else for a reason into the queue's dead-letter
-- queue, or away where there is none for this reason. Their rows are locked by the caller or here. Those that come to
-- one group keep the order that they had. What has no delivery left stays where the rule that said so has just been dropped.
-- As in messages.send, the transaction's number first and the time after it.
with moment as materialized (
    select pg_current_xact_id() as xid, clock_timestamp() as now
), target as materialized (
    select
        r.ord, r.reason, r.error, held.ctid as place, q.id as from_id, q.name as source_queue,
        t.id as to_id, t.number as to_number, t.type = 'fifo' as to_fifo
    from unnest($1::bigint[], $2::uuid[], $3::text[], $4::bigint[], $5::text[]) with ordinality
        as r (number, id, reason, to_number, error, ord)
    join queue as q on q.number = r.number
    left join lateral (
        select named.id, named.number, named.type
        from queue as named
        where named.number = r.to_number
        union all
        select dead.id, dead.number, dead.type
        from queue as dead
        where r.to_number is null and dead.project_id = q.project_id and dead.name = q.dead_letter_queue
            and (r.reason <> 'expired' or q.dead_letter_expired)
    ) as t on true
    cross join lateral (
        select m.ctid
        from message as m
        where m.queue_number = r.number and m.id = r.id
        for update
    ) as held
    where t.id is not null or r.reason is distinct from 'max_receives'
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
    -- How far from the end of its group each comes to stand. The others are not sorted.
    select gone.*, null::bigint as from_end
    from gone
    where gone.to_number is not null and not gone.to_fifo
    union all
    select gone.*, row_number() over (partition by gone.to_number, gone.message_group order by gone.seq desc, gone.ord desc)
    from gone
    where gone.to_fifo
), arrived as (
    insert into message (
        queue_number, id, visible_at, first_visible_at, size, urgency, is_json, content_type, headers, message_group,
        traceparent, tracestate, body, published, seq, dead_letter, moved
    )
    select
        placed.to_number, placed.id, moment.now, moment.now, placed.size, placed.urgency, placed.is_json,
        placed.content_type, placed.headers, placed.message_group, placed.traceparent, placed.tracestate, placed.body,
        placed.published,
        grown.last_seq + 1 - placed.from_end,
        case when placed.reason is not null then jsonb_build_object(
            'source_queue', placed.source_queue,
            'reason', placed.reason,
            'receive_count', placed.receive_count,
            'at', to_char(moment.now at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
            'last_error', coalesce(placed.error, placed.last_error)
        ) end,
        true
    from placed
    cross join moment
    left join grown on grown.queue_number = placed.to_number and grown.name = placed.message_group
), crowded as (
    -- What was granted there did not reckon with these.
    delete from queue_room
    where queue_number = any(array(select gone.to_number from gone where gone.to_number is not null))
), unheard as (
    -- Priorities that the other queue has not met before: its claims would not look for them. The queue's version stays:
    -- a send to it later in this transaction (store/transacts.py) relies on that.
    select gone.to_number, array_agg(distinct gone.urgency) as urgencies
    from gone
    where gone.to_number is not null
    group by gone.to_number
), widened as (
    update queue
    set urgencies = array(
        select distinct u.urgency from unnest(queue.urgencies || unheard.urgencies) as u (urgency) order by 1
    )
    from unheard
    where queue.number = unheard.to_number and not queue.urgencies @> unheard.urgencies
)
select reason, from_id, to_id, count(*) as messages from gone group by reason, from_id, to_id;

-- name: stayed
-- Which of these messages are still in their queues.
select r.ord
from unnest($1::bigint[], $2::uuid[]) with ordinality as r (number, id, ord)
where exists (select from message as m where m.queue_number = r.number and m.id = r.id);

-- name: exhausted
-- Messages whose last delivery has ended unsettled, over all queues; the recursion hops along the partial index.
with recursive holder as (
    (select m.queue_number from message as m where m.exhausted_at is not null order by m.queue_number limit 1)
    union all
    select (
        select m.queue_number
        from message as m
        where m.exhausted_at is not null and m.queue_number > holder.queue_number
        order by m.queue_number
        limit 1
    )
    from holder
    where holder.queue_number is not null
), moment as materialized (
    select clock_timestamp() as now
)
select
    queue.number, found.id, found.size, found.seq is not null as fifo,
    found.receive_count < coalesce(queue.max_receives, 2147483647) as spared
from moment
cross join holder
join queue on queue.number = holder.queue_number
cross join lateral (
    select m.id, m.seq, m.size, m.receive_count
    from message as m
    where m.queue_number = queue.number and m.exhausted_at <= moment.now
    order by m.exhausted_at
    limit $1
    for update skip locked
) as found
limit $1;

-- name: spare
-- The queue's rules have changed: these may be delivered again.
with spared as materialized (
    select held.ctid as place
    from unnest($1::bigint[], $2::uuid[]) as r (number, id)
    cross join lateral (
        select m.ctid from message as m where m.queue_number = r.number and m.id = r.id for update
    ) as held
)
update message as m
set exhausted_at = null
from spared
where m.ctid = spared.place;

-- name: mark
-- The rules of some queue have changed: of its next messages by id, note those that have no delivery left and do not know
-- it. Until no claim can be under way that knew the older rules, it starts over at the end.
with mine as materialized (
    select id, number, max_receives, unmarked_after, updated_at < clock_timestamp() - interval '6 seconds' as settled
    from queue
    where unmarked_after is not null
    order by project_id
    limit 1
    for update skip locked
), part as materialized (
    select mine.number, found.id, found.receive_count >= mine.max_receives and found.exhausted_at is null as due
    from mine
    cross join lateral (
        select m.id, m.receive_count, m.exhausted_at
        from message as m
        where m.queue_number = mine.number and m.id > mine.unmarked_after
        order by m.id
        limit $1
    ) as found
), due as materialized (
    select held.ctid as place
    from part
    cross join lateral (
        select m.ctid from message as m where m.queue_number = part.number and m.id = part.id for update
    ) as held
    where part.due
), marked as (
    update message as m
    set exhausted_at = m.visible_at
    from due
    where m.ctid = due.place
), advanced as (
    update queue
    set unmarked_after = coalesce(
        (select part.id from part order by part.id desc limit 1),
        case when not mine.settled then '00000000-0000-0000-0000-000000000000'::uuid end
    )
    from mine
    where queue.id = mine.id
)
select (select count(*) from part) as seen;
