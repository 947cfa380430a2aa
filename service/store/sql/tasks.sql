-- name: redrive
-- The next messages of a standard dead-letter queue by id: where each is to go, if it is free. What came there after the
-- task was made has failed again, and stays. Those that are leased, or in somebody's hands at this moment, are left alone.
with moment as materialized (
    select clock_timestamp() as now
)
select next.id, next.size, '' as name, null::bigint as seq, free.id is not null as free, coalesce($5, source.number) as to_number
from (
    select m.id, m.size from message as m where m.queue_number = $1 and m.id > $2 order by m.id limit $3
) as next
left join lateral (
    select m.id, m.dead_letter ->> 'source_queue' as source
    from message as m
    where m.queue_number = $1 and m.id = next.id and m.first_visible_at <= $4
        and not (m.lease is not null and m.visible_at > (select now from moment))
    for update skip locked
) as free on true
left join lateral (
    select q.number
    from queue as dead
    join queue as q on q.project_id = dead.project_id and q.name = free.source and q.type = dead.type
    where dead.number = $1 and $5::bigint is null and q.number <> dead.number and q.name ~ $6
) as source on true
order by next.id;

-- name: redrive_fifo
-- The same by group and place, so that each group keeps its order. A group that is held is left alone as a whole.
with moment as materialized (
    select clock_timestamp() as now
)
select next.id, next.size, next.name, next.seq, free.id is not null as free, coalesce($6, source.number) as to_number
from (
    select m.id, m.size, m.message_group as name, m.seq
    from message as m
    where m.queue_number = $1 and m.seq is not null and (m.message_group, m.seq) > ($2, $3)
    order by m.message_group, m.seq
    limit $4
) as next
left join lateral (
    select m.id, m.dead_letter ->> 'source_queue' as source
    from message as m
    join fifo_group as g on g.queue_number = m.queue_number and g.name = m.message_group
    where m.queue_number = $1 and m.id = next.id and m.first_visible_at <= $5
        and g.ready_at <= (select now from moment)
        and not (m.lease is not null and m.visible_at > (select now from moment))
    for update of m skip locked
) as free on true
left join lateral (
    select q.number
    from queue as dead
    join queue as q on q.project_id = dead.project_id and q.name = free.source and q.type = dead.type
    where dead.number = $1 and $6::bigint is null and q.number <> dead.number and q.name ~ $7
) as source on true
order by next.name, next.seq;
