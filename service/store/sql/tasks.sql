-- name: redrive
-- The next messages of a standard dead-letter queue by id, and the queue that each is to go to if it is free. Messages
-- that came after the task was created have failed again, and stay. Leased messages are skipped.
with moment as materialized (
    select clock_timestamp() as now
)
select next.id, next.size, '' as name, null::bigint as seq, free.id is not null as free, free.version,
    coalesce($5, source.number) as to_number
from (
    select m.id, m.size from message as m where m.queue_number = $1 and m.id > $2 order by m.id limit $3
) as next
left join lateral (
    select m.id, m.xmin::text::bigint as version, m.dead_letter ->> 'source_queue' as source
    from message as m
    where m.queue_number = $1 and m.id = next.id and m.first_visible_at <= $4
        and not (m.lease is not null and m.visible_at > (select now from moment))
) as free on true
left join lateral (
    select q.number
    from queue as dead
    join queue as q on q.project_id = dead.project_id and q.name = free.source and q.type = dead.type
    where dead.number = $1 and $5::bigint is null and q.number <> dead.number and q.name ~ $6
) as source on true
order by next.id;

-- name: redrive_fifo
-- The same by group and place, so that each group keeps its order. A held group is skipped as a whole.
with moment as materialized (
    select clock_timestamp() as now
)
select next.id, next.size, next.name, next.seq, free.id is not null as free, free.version,
    coalesce($6, source.number) as to_number
from (
    select m.id, m.size, m.message_group as name, m.seq
    from message as m
    where m.queue_number = $1 and m.seq is not null and (m.message_group, m.seq) > ($2, $3)
    order by m.message_group, m.seq
    limit $4
) as next
left join lateral (
    select m.id, m.xmin::text::bigint as version, m.dead_letter ->> 'source_queue' as source
    from message as m
    join fifo_group as g on g.queue_number = m.queue_number and g.name = m.message_group
    where m.queue_number = $1 and m.id = next.id and m.first_visible_at <= $5
        and g.ready_at <= (select now from moment)
        and not (m.lease is not null and m.visible_at > (select now from moment))
) as free on true
left join lateral (
    select q.number
    from queue as dead
    join queue as q on q.project_id = dead.project_id and q.name = free.source and q.type = dead.type
    where dead.number = $1 and $6::bigint is null and q.number <> dead.number and q.name ~ $7
) as source on true
order by next.name, next.seq;
