-- name: holder
-- The message that keeps the one at place $3 from being leased, among the first $4 of its group: the leased one whose
-- lease ends last, or else the first delayed one before it. Expired messages hold up no others.
select m.id
from (select clock_timestamp() as now offset 0) as moment
join queue on queue.number = $1
cross join lateral (
    select m.id, m.seq, m.lease, m.visible_at, m.expires_at, m.first_visible_at
    from message as m
    where m.queue_number = queue.number and m.message_group = $2 and m.seq is not null
    order by m.seq
    limit $4
) as m
where m.visible_at > moment.now
    and (
        m.lease is not null
        or m.seq < $3 and coalesce(m.expires_at, m.first_visible_at + queue.retention, 'infinity') > moment.now
    )
order by m.lease is null, case when m.lease is not null then m.visible_at end desc, m.seq
limit 1;

-- name: groups
-- The next groups by name after $2, among the first $3: all of them, or only those that are held; the last of the $3 is
-- always returned, so that a page can go on from it. Each held group comes with the message that holds it.
with moment as materialized (
    select clock_timestamp() as now
), part as materialized (
    select looked.name, looked.depth, looked.held, looked.place
    from (
        select
            g.name, g.depth, g.ready_at > (select now from moment) as held,
            row_number() over (order by g.name) as place
        from fifo_group as g
        where g.queue_number = $1 and g.name >= coalesce($2, '') collate "C" and g.name is distinct from $2
        order by g.name
        limit $3
    ) as looked
    where looked.held or not $4::boolean or looked.place = $3
    order by looked.name
    limit $5
)
select
    part.name, part.depth, part.held, part.place, held.*,
    (select api_key.name from api_key where api_key.id = held.taken_by) as key_name,
    (select webhook.name from webhook where webhook.id = held.pushed_by) as webhook
from part
left join lateral (
    select
        m.id, m.lease, m.pushed_by, m.taken_by, m.taken_via, m.taken_under, m.receive_count, m.visible_at as until
    from (
        select m.*
        from message as m
        where part.held and m.queue_number = $1 and m.message_group = part.name and m.seq is not null
        order by m.seq
        limit 101
    ) as m
    where m.visible_at > (select now from moment)
    order by m.lease is null, case when m.lease is not null then m.visible_at end desc, m.seq
    limit 1
) as held on true
order by part.name;
