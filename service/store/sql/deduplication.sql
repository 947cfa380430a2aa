-- name: remember
-- Takes the hashes that are new or have expired, in order, each for a message that is about to be stored. Waits for a
-- transaction that has taken one of them but not ended. The first row has the numbers of the queues (and topics, whose
-- publishes are deduplicated in the same way) that still have the caller's version; the others have the hashes taken.
with moment as materialized (
    select clock_timestamp() as now
), asked as materialized (
    select
        r.number, r.hash, r.message_id, r.members, known."window",
        greatest(moment.now + r.delay, r.deliver_at) as visible_at
    from moment
    cross join unnest(
        $1::bigint[], $2::bigint[], $3::bytea[], $4::uuid[], $5::interval[], $6::timestamptz[], $7::integer[]
    ) as r (number, version, hash, message_id, delay, deliver_at, members)
    cross join lateral (
        select queue.deduplication_window as "window"
        from queue
        where queue.number = r.number and queue.version = r.version
        union all
        select topic.deduplication_window
        from topic
        where topic.number = r.number and topic.version = r.version
    ) as known
), taken as (
    insert into deduplication as d (queue_number, hash, message_id, visible_at, members, expires_at)
    select asked.number, asked.hash, asked.message_id, asked.visible_at, asked.members, moment.now + asked."window"
    from asked
    cross join moment
    order by asked.number, asked.hash
    on conflict (queue_number, hash) do update
    set message_id = excluded.message_id,
        visible_at = excluded.visible_at,
        members = excluded.members,
        expires_at = excluded.expires_at
    -- Not moment.now: the statement may have waited for the row.
    where d.expires_at <= clock_timestamp()
    returning d.queue_number, d.hash, d.visible_at
)
select null::bigint as number, null::bytea as hash, null::timestamptz as visible_at,
    array(select distinct asked.number from asked) as current
union all
select queue_number, hash, visible_at, null from taken;

-- name: recall
-- The messages of hashes that were taken already. A statement of its own, whose snapshot is younger than the wait for
-- them.
select d.queue_number as number, d.hash, d.message_id, d.visible_at, d.members
from unnest($1::bigint[], $2::bytea[]) as r (number, hash)
join deduplication as d on d.queue_number = r.number and d.hash = r.hash;

-- name: amend
-- A member of a batch turned out to be a duplicate by its own id. The batch's row then names the first message, so that
-- a repetition of the batch is answered with it.
update deduplication as d
set message_id = r.message_id, visible_at = r.visible_at
from unnest($1::bigint[], $2::bytea[], $3::uuid[], $4::timestamptz[]) as r (number, hash, message_id, visible_at)
where d.queue_number = r.number and d.hash = r.hash;

-- name: expire
-- Removes a batch of expired hashes. The recursion hops from queue to queue along the primary key.
with recursive holder as (
    (select d.queue_number from deduplication as d order by d.queue_number limit 1)
    union all
    select (
        select d.queue_number
        from deduplication as d
        where d.queue_number > holder.queue_number
        order by d.queue_number
        limit 1
    )
    from holder
    where holder.queue_number is not null
), moment as materialized (
    select clock_timestamp() as now
), old as materialized (
    select found.ctid
    from moment
    cross join holder
    cross join lateral (
        select d.ctid
        from deduplication as d
        where d.queue_number = holder.queue_number and d.expires_at <= moment.now
        order by d.expires_at
        limit $1
        for update skip locked
    ) as found
    limit $1
)
delete from deduplication where ctid = any(array(select ctid from old));
