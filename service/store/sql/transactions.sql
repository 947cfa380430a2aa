-- name: lock_key
-- The second of two transactions with the same key waits for the first, and then sees its answer.
select pg_advisory_xact_lock($1::bigint);

-- name: lock_groups
-- Locks every group that a transaction settles messages of, moves messages to (as in fifo.lock_leaving) or sends to, in
-- order. A group that does not exist yet is created.
with leased as materialized (
    select queue.number, queue.max_receives, r.id, r.lease, r.rejected, dead.number as dead_number
    from unnest($1::bigint[], $2::uuid[], $3::bigint[], $4::boolean[]) as r (queue_id, id, lease, rejected)
    join queue on queue.id = r.queue_id
    left join queue as dead on dead.project_id = queue.project_id and dead.name = queue.dead_letter_queue
        and dead.type = 'fifo'
), mine as materialized (
    select leased.number, held.name, held.target
    from leased
    cross join lateral (
        select
            m.message_group as name,
            case when m.lease = leased.lease and (leased.rejected or m.receive_count >= leased.max_receives) then
                case when leased.rejected is not null then leased.dead_number end
            end as target
        from message as m
        where m.queue_number = leased.number and m.id = leased.id
        limit 1
    ) as held
), wanted as materialized (
    select number, name from mine
    union
    select target, name from mine where target is not null
    union
    select s.number, s.name from unnest($5::bigint[], $6::text[]) as s (number, name)
)
insert into fifo_group (queue_number, name, ready_at, last_seq, depth)
select wanted.number, wanted.name, moment.now, 0, 0
from wanted
cross join (select clock_timestamp() as now offset 0) as moment
order by wanted.number, wanted.name
on conflict (queue_number, name) do update set depth = fifo_group.depth;

-- name: hold
-- Locks the messages whose leases are current, in the order of the arrays, which is that of queue id and message id.
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
-- Why receipts hold no message: their queue was deleted, a transaction has spent them, or neither.
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
