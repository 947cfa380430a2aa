-- name: failed
-- The next failed attempts of a webhook between two ids.
select a.id, a.message_id
from attempt as a
where a.queue_id = $1 and a.webhook_id = $2 and not a.succeeded and a.id > $3 and a.id < $4
order by a.id
limit $5;

-- name: blocked
-- Those of these messages that a webhook has failed to deliver and that wait for the next attempt, or are blocked after
-- the last one. Leased messages are skipped.
select m.id, m.version
from unnest($2::uuid[]) as a (id)
cross join lateral (
    select m.id, m.xmin::text::bigint as version
    from message as m
    where m.queue_number = $1 and m.id = a.id and m.lease is null and (m.pushed_by is not null or m.attempts > 0)
        and m.visible_at > clock_timestamp()
) as m;

-- name: blocked_by
-- The next messages that this webhook has blocked. Leased messages are skipped for now.
select m.id, m.xmin::text::bigint as version
from message as m
where m.queue_number = $1 and m.pushed_by = $2 and m.lease is null and m.visible_at > clock_timestamp()
limit $3;

-- name: left_by
-- How many messages this webhook has blocked or leased, up to 10,000.
select count(*) as messages
from (
    select
    from message as m
    where m.queue_number = $1 and m.pushed_by = $2 and m.visible_at > clock_timestamp()
    limit 10000
) as part;

-- name: unblock
-- Makes messages ready now, at the beginning of their retry schedule.
update message as m
set visible_at = clock_timestamp(), attempts = 0, pushed_by = null
where m.queue_number = $1 and m.id = any($2::uuid[]);

-- name: dead
-- Those of these messages that came to the dead-letter queue with the number $1 from the queue named $3, up to a time.
-- Messages that came later have failed again, and stay; so do leased ones.
select m.id, m.version
from unnest($2::uuid[]) as a (id)
cross join lateral (
    select m.id, m.xmin::text::bigint as version
    from message as m
    where m.queue_number = $1 and m.id = a.id and m.first_visible_at <= $4 and m.dead_letter ->> 'source_queue' = $3
        and not (m.lease is not null and m.visible_at > clock_timestamp())
) as m;
