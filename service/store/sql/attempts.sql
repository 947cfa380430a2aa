-- name: store
insert into attempt (queue_id, webhook_id, id, message_id, number, started_at, duration, status, error, succeeded, excerpt)
select *
from unnest(
    $1::bigint[], $2::bigint[], $3::uuid[], $4::uuid[], $5::integer[], $6::timestamptz[], $7::interval[], $8::integer[],
    $9::text[], $10::boolean[], $11::bytea[]
);

-- name: health
-- The last $3 attempts of each webhook: how many there are, how many succeeded, and the median of their durations.
select health.*
from unnest($1::bigint[], $2::bigint[]) with ordinality as w (queue_id, id, ord)
cross join lateral (
    select
        count(*) as attempts,
        count(*) filter (where last.succeeded) as succeeded,
        percentile_cont(0.5) within group (order by last.duration) as latency
    from (
        select a.succeeded, a.duration
        from attempt as a
        where a.queue_id = w.queue_id and a.webhook_id = w.id
        order by a.id desc
        limit $3
    ) as last
) as health
order by w.ord;

-- name: days
-- The names of the existing partitions.
select child.relname as name
from pg_inherits
join pg_class as child on child.oid = inhrelid
where inhparent = 'attempt'::regclass
order by child.relname;

-- name: of_message
-- Attempts to deliver a message, newest first, by webhooks of all queues that it was in and whose names match $4.
select
    a.id, a.message_id, a.number, a.started_at, a.duration, a.status, a.error, a.succeeded, a.excerpt,
    q.name as queue_name, w.name as webhook_name
from attempt as a
join queue as q on q.id = a.queue_id
left join webhook as w on w.queue_id = a.queue_id and w.id = a.webhook_id
where a.message_id = $1 and a.id < $2 and q.project_id = $3 and q.name ~ $4
order by a.id desc
limit $5;
