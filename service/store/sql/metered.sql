-- name: labelled
-- Queues whose label asks for metrics of their own, oldest first.
select q.id from queue as q where q.labels ->> 'metrics' = 'true' order by q.created_at, q.id limit $1;

-- name: fullest
-- Queues with the most ready messages, estimated from a sample of about $1 pages of the table; a smaller table is read
-- as a whole. Large bodies are stored elsewhere, so a page has dozens of messages.
with pages as materialized (
    select greatest(pg_relation_size('message') / current_setting('block_size')::bigint, 1) as number
)
select q.id
from (
    select m.queue_number, count(*) as messages
    from message as m tablesample system ((select least(100, 100.0 * $1 / pages.number) from pages))
    where m.visible_at <= (select clock_timestamp())
    group by m.queue_number
    order by messages desc
    limit $2
) as seen
join queue as q on q.number = seen.queue_number
order by seen.messages desc, q.id
limit $2;

-- name: projects
select p.id, p.name from project as p where p.id = any($1::bigint[]);
