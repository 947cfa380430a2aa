-- name: groups
-- What the newest $2 dead letters of a queue have in common, the commonest first: where they came from, why, and the
-- beginning of their last error. What was moved there for another reason is looked at, and left out.
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
        looked.dead_letter ->> 'reason' as reason, left(looked.dead_letter ->> 'last_error', 200) as last_error
    from looked
    where looked.place <= $2 and looked.dead_letter is not null
)
select
    letter.source_queue, letter.reason, letter.last_error, count(*) as messages, min(letter.at) as oldest_at,
    max(letter.at) as newest_at, (array_agg(letter.id order by letter.at desc, letter.id desc))[1] as message_id,
    (select count(*) <= $2 from looked) as complete
from letter
group by letter.source_queue, letter.reason, letter.last_error
order by messages desc, newest_at desc
limit $3 + 1;
