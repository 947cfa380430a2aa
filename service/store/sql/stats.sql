-- name: count
-- Exact for queues of up to $3 messages. Looks at one more, so that `seen` shows whether that was all.
select
    a.ord, tally.seen, tally.ready, tally.delayed, tally.leased,
    extract(epoch from moment.now - tally.oldest)::float8 as oldest_ready_age
from (select clock_timestamp() as now offset 0) as moment
cross join unnest($1::bigint[], $2::interval[]) with ordinality as a (number, retention, ord)
cross join lateral (
    select
        count(*) as seen,
        count(*) filter (where part.visible_at <= moment.now and part.live) as ready,
        count(*) filter (where part.visible_at > moment.now and part.lease is null and part.live) as delayed,
        count(*) filter (where part.visible_at > moment.now and part.lease is not null) as leased,
        min(part.visible_at) filter (where part.visible_at <= moment.now and part.live) as oldest
    from (
        select
            m.visible_at, m.lease,
            coalesce(m.expires_at, m.first_visible_at + a.retention, 'infinity') > moment.now as live
        from message as m
        where m.queue_number = a.number
        limit $3 + 1
    ) as part
) as tally
order by a.ord;
