-- name: delete
-- Every settle locks its messages in the order of the arrays, which is that of queue id and message id, so two settles
-- never deadlock. A row that was changed while the statement waited for its lock is missing from the result. The caller
-- asks for it once more in a new statement, whose snapshot has the newest version.
with target as materialized (
    select r.ord, r.queue_id, r.id, r.lease, r.action, held.ctid
    from unnest($1::bigint[], $2::uuid[], $3::bigint[], $4::smallint[]) with ordinality
        as r (queue_id, id, lease, action, ord)
    join queue on queue.id = r.queue_id
    cross join lateral (
        select m.ctid
        from message as m
        where m.queue_number = queue.number and m.id = r.id and m.lease = r.lease
        for update
    ) as held
), gone as (
    delete from message as m
    using target
    where m.ctid = target.ctid
    returning target.ord, target.queue_id, target.lease, target.id, target.action
), remembered as (
    insert into settlement (slot, queue_id, lease, message_id, action)
    select (extract(epoch from clock_timestamp())::bigint / 300) % 4, queue_id, lease, id, action
    from gone
)
select ord from gone;

-- name: extend
-- A renewal is missing from the result if the lease ends at another time than $5. So is a lapsed lease of a fifo queue
-- if another lease holds a message of its group by now: a group has one holder, which is found among its first messages
-- (fifo.refresh). The caller holds the group.
with target as materialized (
    select r.ord, r.timeout, held.ctid
    from unnest($1::bigint[], $2::uuid[], $3::bigint[], $4::interval[], $5::timestamptz[]) with ordinality
        as r (queue_id, id, lease, timeout, renewed, ord)
    join queue on queue.id = r.queue_id
    cross join lateral (
        select m.ctid
        from message as m
        where m.queue_number = queue.number and m.id = r.id and m.lease = r.lease
            and coalesce(m.visible_at = r.renewed, true)
            and (
                m.seq is null
                or m.visible_at > clock_timestamp()
                or not exists (
                    select
                    from (
                        select o.lease, o.visible_at
                        from message as o
                        where o.queue_number = m.queue_number and o.message_group = m.message_group
                            and o.seq is not null
                        order by o.seq
                        limit $6
                    ) as other
                    where other.lease <> m.lease and other.visible_at > clock_timestamp()
                )
            )
        for update
    ) as held
)
update message as m
set visible_at = clock_timestamp() + target.timeout,
    exhausted_at = case when m.exhausted_at is not null then clock_timestamp() + target.timeout end
from target
where m.ctid = target.ctid
returning target.ord, m.visible_at;

-- name: release
-- A delivery that is not counted leaves no trace: if it was the first one, the time of the first receive is cleared
-- too. A message without a delivery left is not released (see hold). Without a delay the message is blocked: it keeps
-- the webhook that it waits for.
with target as materialized (
    select r.ord, r.queue_id, r.id, r.lease, r.delay, r.error, r.counted, r.remember, queue.max_receives, held.ctid
    from unnest($1::bigint[], $2::uuid[], $3::bigint[], $4::interval[], $5::text[], $6::boolean[], $7::boolean[])
        with ordinality as r (queue_id, id, lease, delay, error, counted, remember, ord)
    join queue on queue.id = r.queue_id
    cross join lateral (
        select m.ctid
        from message as m
        where m.queue_number = queue.number and m.id = r.id and m.lease = r.lease
            and not (r.counted and m.receive_count >= coalesce(queue.max_receives, 2147483647))
        for update
    ) as held
), freed as (
    update message as m
    set visible_at = clock_timestamp() + coalesce(target.delay, interval '36500 days'),
        lease = null,
        -- An uncounted delivery may be released without another one left, if the rule became stricter after the
        -- receive.
        exhausted_at = case when m.receive_count > target.max_receives then clock_timestamp() + target.delay end,
        last_error = coalesce(target.error, m.last_error),
        receive_count = m.receive_count - (not target.counted and m.pushed_by is null)::integer,
        attempts = m.attempts - (not target.counted and m.pushed_by is not null)::integer,
        pushed_by = case when target.delay is null then m.pushed_by end,
        first_received_at = case when target.counted or m.receive_count > 1 then m.first_received_at end
    from target
    where m.ctid = target.ctid
    returning target.ord, target.queue_id, target.lease, target.id, target.remember, m.visible_at
), remembered as (
    insert into settlement (slot, queue_id, lease, message_id, action)
    select (extract(epoch from clock_timestamp())::bigint / 300) % 4, queue_id, lease, id, 2
    from freed
    where remember
)
select ord, visible_at from freed;

-- name: hold
-- Locks the messages that have to leave their queue (moves.move): rejected, or released without a delivery left.
select r.ord, queue.number
from unnest($1::bigint[], $2::uuid[], $3::bigint[], $4::boolean[]) with ordinality
    as r (queue_id, id, lease, rejected, ord)
join queue on queue.id = r.queue_id
cross join lateral (
    select m.id
    from message as m
    where m.queue_number = queue.number and m.id = r.id and m.lease = r.lease
        and (r.rejected or m.receive_count >= queue.max_receives)
    for update
) as held;

-- name: remember
insert into settlement (slot, queue_id, lease, message_id, action)
select (extract(epoch from clock_timestamp())::bigint / 300) % 4, r.queue_id, r.lease, r.id, r.action
from unnest($1::bigint[], $2::uuid[], $3::bigint[], $4::smallint[]) as r (queue_id, id, lease, action);

-- name: recall
-- What is known of receipts that hold no message: whether the queue still exists, how the receipt was spent, and
-- whether its message was leased again since.
-- The queues are looked up first, because otherwise the planner may search every queue for the message.
with asked as materialized (
    select r.ord, r.queue_id, r.id, r.lease, queue.number
    from unnest($1::bigint[], $2::uuid[], $3::bigint[]) with ordinality as r (queue_id, id, lease, ord)
    left join queue on queue.id = r.queue_id
)
select a.ord, a.number is not null as queue_exists, spent.action, again.id is not null as given_again
from asked as a
left join lateral (
    select s.action
    from settlement as s
    where s.queue_id = a.queue_id and s.lease = a.lease and s.message_id = a.id
    limit 1
) as spent on true
left join lateral (
    select m.id
    from message as m
    where m.queue_number = a.number and m.id = a.id and m.lease <> a.lease
    limit 1
) as again on true;

-- name: held
-- Which of these leases still hold their messages.
select r.ord
from unnest($1::bigint[], $2::uuid[], $3::bigint[]) with ordinality as r (queue_id, id, lease, ord)
join queue on queue.id = r.queue_id
cross join lateral (
    select m.id
    from message as m
    where m.queue_number = queue.number and m.id = r.id and m.lease = r.lease and m.visible_at > clock_timestamp()
    limit 1
) as held;
