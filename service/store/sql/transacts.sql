-- name: lock_key
-- Of two transactions with the same key the second waits, and then sees what the first one did.
select pg_advisory_xact_lock($1::bigint);

-- name: lock_groups
-- Every group of a fifo queue that a transaction takes messages from or sends to, in order.
with leased as materialized (
    select queue.number, r.id
    from unnest($1::bigint[], $2::uuid[]) as r (queue_id, id)
    join queue on queue.id = r.queue_id
), wanted as materialized (
    select leased.number, held.name
    from leased
    cross join lateral (
        select m.message_group as name
        from message as m
        where m.queue_number = leased.number and m.id = leased.id
        limit 1
    ) as held
    union
    select s.number, s.name from unnest($3::bigint[], $4::text[]) as s (number, name)
), sorted as materialized (
    select number, name from wanted order by number, name
)
select held.queue_number
from sorted
cross join lateral (
    select g.queue_number
    from fifo_group as g
    where g.queue_number = sorted.number and g.name = sorted.name
    for update
) as held;

-- name: hold
-- The messages whose leases are current, in the order of the arrays, which is that of queue and message.
select r.ord
from unnest($1::bigint[], $2::uuid[], $3::bigint[]) with ordinality as r (queue_id, id, lease, ord)
join queue on queue.id = r.queue_id
cross join lateral (
    select m.id
    from message as m
    where m.queue_number = queue.number and m.id = r.id and m.lease = r.lease
    for update
) as held;

-- name: recall
select t.digest, t.answer
from transaction_answer as t
where t.queue_id = $1::bigint and t.lease = $2::bigint and t.message_id = $3::uuid and t.answer is not null;

-- name: lost
-- Why receipts hold no message: their queue is gone, or a transaction has spent them, or neither.
select r.ord, queue.id is not null as queue_exists, spent.lease is not null as spent
from unnest($1::bigint[], $2::uuid[], $3::bigint[]) with ordinality as r (queue_id, id, lease, ord)
left join queue on queue.id = r.queue_id
left join lateral (
    select t.lease
    from transaction_answer as t
    where t.queue_id = r.queue_id and t.lease = r.lease and t.message_id = r.id and t.spent
    limit 1
) as spent on true
order by r.ord;

-- name: remember
insert into transaction_answer (slot, queue_id, lease, message_id, digest, spent, answer)
select
    (extract(epoch from clock_timestamp())::bigint / 300) % 4, r.queue_id, r.lease, r.id, $5::bytea, r.spent,
    case when r.ord = 1 then $6::bytea end
from unnest($1::bigint[], $2::uuid[], $3::bigint[], $4::boolean[]) with ordinality as r (queue_id, id, lease, spent, ord);
