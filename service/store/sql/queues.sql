-- name: find
-- Queues by name, many callers at once.
select
    a.ord, q.id, q.project_id, q.name, q.number, q.version, q.type, q.visibility_timeout, q.delay, q.retention,
    q.max_message_bytes, q.max_length, q.paused, q.created_at, q.updated_at, q.deduplication_window,
    q.deduplicate_by_content, q.dead_letter_queue, q.max_receives, q.dead_letter_expired, q.urgencies
from unnest($1::bigint[], $2::text[]) with ordinality as a (project_id, name, ord)
join queue as q on q.project_id = a.project_id and q.name = a.name collate "C";

-- name: names
select id, name from queue where id = any($1::bigint[]);

-- name: add_urgencies
-- Sends and claims that rely on the older version look the queue up again.
update queue
set urgencies = array(select distinct u.urgency from unnest(queue.urgencies || $2::smallint[]) as u (urgency) order by 1),
    version = version + 1
where number = $1 and not urgencies @> $2::smallint[];
