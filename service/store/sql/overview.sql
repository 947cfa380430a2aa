-- name: counts
-- How many queues and topics of a project have names that match $2.
select
    (select count(*) from queue as q where q.project_id = $1 and q.name ~ $2) as queues,
    (select count(*) from topic as t where t.project_id = $1 and t.name ~ $2) as topics;

-- name: dead_letters
-- Queues that others name as their dead-letter queue and that hold messages, fullest first, judging by no more than
-- about $3 messages in all.
with named as materialized (
    select distinct q.dead_letter_queue as name
    from queue as q
    where q.project_id = $1 and q.dead_letter_queue is not null and q.dead_letter_queue ~ $2
), dead as materialized (
    select d.id, d.name, d.number, count(*) over () as among
    from named
    join queue as d on d.project_id = $1 and d.name = named.name
), held as materialized (
    select dead.id, dead.name, seen.messages
    from dead
    cross join lateral (
        select count(*) as messages
        from (
            select from message as m where m.queue_number = dead.number limit greatest($3 / dead.among, 10)
        ) as part
    ) as seen
    where seen.messages > 0
    order by seen.messages desc, dead.name
    limit $4
)
select
    held.id,
    array(
        -- `offset 0` keeps the planner from scanning the names of the whole project.
        select source.name
        from (
            select q.name from queue as q where q.project_id = $1 and q.dead_letter_queue = held.name offset 0
        ) as source
        where source.name ~ $2
        order by source.name
        limit $5
    ) as sources,
    (
        select coalesce(sum(a.growth), 0)::bigint
        from queue_activity as a
        where a.queue_id = held.id and a.at > (select clock_timestamp() - interval '1 hour')
    ) as growth
from held;

-- name: webhooks
-- How many webhooks are in each state, of queues whose names match $2.
select
    count(*) filter (where seen.state = 'active') as active,
    count(*) filter (where seen.state = 'paused') as paused,
    count(*) filter (where seen.state = 'circuit_open') as circuit_open,
    count(*) filter (where seen.state = 'disabled') as disabled
from (
    select webhook_state(w.enabled, w.paused_until, w.openings, clock_timestamp()) as state
    from queue as q
    join webhook as w on w.queue_id = q.id
    where q.project_id = $1 and q.name ~ $2
) as seen;

-- name: attempts_of_project
-- Requests to webhooks in the last hour.
select coalesce(sum(a.attempts), 0)::bigint as attempts, coalesce(sum(a.succeeded), 0)::bigint as succeeded
from project_activity as a
where a.project_id = $1 and a.at > (select clock_timestamp() - interval '1 hour');

-- name: attempts_of_queues
-- The same for queues whose names match $2 and that still have a webhook.
select coalesce(sum(a.attempts), 0)::bigint as attempts, coalesce(sum(a.succeeded), 0)::bigint as succeeded
from queue as q
join queue_activity as a on a.queue_id = q.id and a.at > (select clock_timestamp() - interval '1 hour')
where q.project_id = $1 and q.name ~ $2 and exists (select from webhook as w where w.queue_id = q.id);
