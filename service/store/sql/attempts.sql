-- name: store
insert into attempt (queue_id, webhook_id, id, message_id, number, started_at, duration, status, error, excerpt)
select *
from unnest(
    $1::bigint[], $2::bigint[], $3::uuid[], $4::uuid[], $5::integer[], $6::timestamptz[], $7::interval[], $8::integer[],
    $9::text[], $10::bytea[]
);

-- name: health
-- Of the last thousand attempts of each webhook: how many there were, how many succeeded, and the median of their duration.
select health.*
from unnest($1::bigint[], $2::bigint[]) with ordinality as w (queue_id, id, ord)
cross join lateral (
    select
        count(*) as attempts,
        count(*) filter (where last.error is null and last.status between 200 and 299) as succeeded,
        percentile_cont(0.5) within group (order by last.duration) as latency
    from (
        select a.error, a.status, a.duration
        from attempt as a
        where a.queue_id = w.queue_id and a.webhook_id = w.id
        order by a.id desc
        limit 1000
    ) as last
) as health
order by w.ord;

-- name: days
-- The partitions that there are, by their names.
select child.relname as name
from pg_inherits
join pg_class as child on child.oid = inhrelid
where inhparent = 'attempt'::regclass
order by child.relname;
