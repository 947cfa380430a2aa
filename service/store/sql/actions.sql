-- name: release_delay
-- Makes delayed messages ready now. Retention and ttl, which would have counted from the end of the delay, count from
-- now.
update message as m
set visible_at = moment.now,
    first_visible_at = least(m.first_visible_at, moment.now),
    expires_at = m.expires_at - (m.first_visible_at - least(m.first_visible_at, moment.now))
from (select clock_timestamp() as now offset 0) as moment
where m.queue_number = $1 and m.id = any($2::uuid[]) and m.lease is null and m.visible_at > moment.now;
