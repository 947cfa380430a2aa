-- name: numbers
select number from retired_queue order by retired_at limit 1000;

-- name: remove
-- Removes a batch of a retired queue's messages after the last id of the previous batch, whose dead rows are so not
-- passed over again. Does nothing while another process works on the same queue.
with mine as materialized (
    select number from retired_queue where number = $1 for update skip locked
), batch as materialized (
    select found.ctid, found.id
    from mine
    cross join lateral (
        select m.ctid, m.id
        from message as m
        where m.queue_number = mine.number and m.id > $2
        order by m.id
        limit $3
        for update skip locked
    ) as found
), gone as (
    delete from message where ctid = any(array(select ctid from batch)) returning queue_number
), rooms as (
    delete from queue_room using mine where queue_room.queue_number = mine.number
), groups as (
    -- There are no more groups than messages.
    delete from fifo_group
    where ctid = any(array(
        select g.ctid from mine join fifo_group as g on g.queue_number = mine.number limit $3
    ))
), hashes as (
    delete from deduplication
    where ctid = any(array(
        select found.ctid
        from mine
        cross join lateral (
            select d.ctid from deduplication as d where d.queue_number = mine.number limit $3 for update skip locked
        ) as found
    ))
)
select (select count(*) from gone) as removed, (select id from batch order by id desc limit 1) as last_id;

-- name: forget
-- A send that began before the purge or delete may still add a message, but no statement lasts a minute.
delete from retired_queue as r
where r.number = $1 and r.retired_at < clock_timestamp() - interval '1 minute'
    and not exists (select from message as m where m.queue_number = r.number)
    and not exists (select from fifo_group as g where g.queue_number = r.number)
    and not exists (select from deduplication as d where d.queue_number = r.number);
