-- name: find
-- Queues by name, for many callers at once.
select a.ord, q.*
from unnest($1::bigint[], $2::text[]) with ordinality as a (project_id, name, ord)
join queue as q on q.project_id = a.project_id and q.name = a.name collate "C";

-- name: names
select id, name from queue where id = any($1::bigint[]);

-- name: add_urgencies
-- The new version makes sends and claims that rely on the older one look the queue up again.
update queue
set urgencies = array(select distinct u.urgency from unnest(queue.urgencies || $2::smallint[]) as u (urgency) order by 1),
    version = version + 1
where number = $1 and not urgencies @> $2::smallint[];

-- name: by_age
-- Queues of a project from name $2 on and before $3 that match $4, $5 and $6, after the position ($7, $8). The queue
-- whose oldest ready message has waited longest comes first; queues without one come last, by name. Looks at $9 queues,
-- by name; with $11, only at those that others name as their dead-letter queue.
with moment as materialized (
    select clock_timestamp() as now
), looked as materialized (
    select q.id, q.name, q.number, q.urgencies
    from queue as q
    where q.project_id = $1 and q.name >= $2 collate "C" and q.name < $3 collate "C" and q.name ~ $4
        and q.labels @> all($5::text[]::jsonb[]) and strpos(lower(q.name), lower($6)) > 0
        and (
            not $11::boolean
            -- Not `exists`, for which the planner may read all queues.
            or (
                select true
                from queue as s
                where s.project_id = q.project_id and s.dead_letter_queue = q.name
                limit 1
            )
        )
    order by q.name
    limit $9
), aged as (
    select looked.*, coalesce(waiting.since, 'infinity') as since
    from moment
    cross join looked
    cross join lateral (
        select min(ready.visible_at) as since
        from unnest(looked.urgencies) as level (urgency)
        cross join lateral (
            select m.visible_at
            from message as m
            where m.queue_number = looked.number and m.urgency = level.urgency and m.visible_at <= moment.now
            order by m.visible_at
            limit 1
        ) as ready
    ) as waiting
)
select id, nullif(since, 'infinity') as since
from aged
where (since, name) > (coalesce($7::timestamptz, 'infinity'), $8 collate "C")
order by since, name
limit $10;
