-- name: groups
-- The newest $2 dead letters of a queue, grouped by where they came from, why, and their last error, folded; largest
-- groups first. `$4`: only those that came from this queue. Messages that were moved there by a task count towards the
-- $2, but are left out.
with looked as materialized (
    select
        m.id, m.first_visible_at as at, m.dead_letter,
        row_number() over (order by m.first_visible_at desc) as place
    from message as m
    where m.queue_number = $1 and m.moved
    order by m.first_visible_at desc
    limit $2 + 1
), letter as (
    select
        looked.id, looked.at, looked.dead_letter ->> 'source_queue' as source_queue,
        looked.dead_letter ->> 'reason' as reason, left(looked.dead_letter ->> 'last_error', 200) as last_error,
        folded_error(looked.dead_letter ->> 'last_error') as error
    from looked
    where looked.place <= $2 and looked.dead_letter is not null
        and ($4::text is null or looked.dead_letter ->> 'source_queue' = $4)
)
select
    letter.source_queue, letter.reason, letter.error, count(*) as messages, min(letter.at) as oldest_at,
    max(letter.at) as newest_at, (array_agg(letter.id order by letter.at desc, letter.id desc))[1] as message_id,
    (array_agg(letter.last_error order by letter.at desc, letter.id desc))[1] as last_error,
    (select count(*) <= $2 from looked) as complete
from letter
group by letter.source_queue, letter.reason, letter.error
order by messages desc, newest_at desc
limit $3 + 1;

-- name: exhausted
-- Messages of all queues whose last delivery has ended unsettled. The recursion hops along the partial index from queue
-- to queue. Messages of one group come in their order, whatever the limit.
with recursive holder as (
    (select m.queue_number from message as m where m.exhausted_at is not null order by m.queue_number limit 1)
    union all
    select (
        select m.queue_number
        from message as m
        where m.exhausted_at is not null and m.queue_number > holder.queue_number
        order by m.queue_number
        limit 1
    )
    from holder
    where holder.queue_number is not null
), moment as materialized (
    select clock_timestamp() as now
)
select
    queue.number, found.id, found.version, found.size, found.seq is not null as fifo,
    found.receive_count < coalesce(queue.max_receives, 2147483647) as spared
from moment
cross join holder
join queue on queue.number = holder.queue_number
cross join lateral (
    select m.id, m.xmin::text::bigint as version, m.seq, m.size, m.receive_count
    from message as m
    where m.queue_number = queue.number and m.exhausted_at <= moment.now
    order by m.exhausted_at, m.seq
    limit $1
) as found
limit $1;

-- name: spare
-- Unmarks messages that may be delivered again because their queue's rules have changed.
with spared as materialized (
    select held.ctid as place
    from unnest($1::bigint[], $2::uuid[]) as r (number, id)
    cross join lateral (
        select m.ctid from message as m where m.queue_number = r.number and m.id = r.id for update
    ) as held
)
update message as m
set exhausted_at = null
from spared
where m.ctid = spared.place;

-- name: mark
-- Among the next messages by id of a queue whose rules have changed, marks those that have no delivery left by the new
-- rules. As long as a claim by the older rules may still be running, it starts over when it reaches the end.
with mine as materialized (
    select id, number, max_receives, unmarked_after, updated_at < clock_timestamp() - interval '6 seconds' as settled
    from queue
    where unmarked_after is not null
    order by project_id
    limit 1
    for update skip locked
), part as materialized (
    select mine.number, found.id, found.receive_count >= mine.max_receives and found.exhausted_at is null as due
    from mine
    cross join lateral (
        select m.id, m.receive_count, m.exhausted_at
        from message as m
        where m.queue_number = mine.number and m.id > mine.unmarked_after
        order by m.id
        limit $1
    ) as found
), due as materialized (
    select held.ctid as place
    from part
    cross join lateral (
        select m.ctid from message as m where m.queue_number = part.number and m.id = part.id for update
    ) as held
    where part.due
), marked as (
    update message as m
    set exhausted_at = m.visible_at
    from due
    where m.ctid = due.place
), advanced as (
    update queue
    set unmarked_after = coalesce(
        (select part.id from part order by part.id desc limit 1),
        case when not mine.settled then '00000000-0000-0000-0000-000000000000'::uuid end
    )
    from mine
    where queue.id = mine.id
)
select (select count(*) from part) as seen;
