-- name: send
-- The time is read after the transaction has got its number, so that no row's visible_at is older than its transaction.
-- The mark of a claim relies on that (service/store/messaging/marks.py).
with moment as materialized (
    select pg_current_xact_id() as xid, clock_timestamp() as now
), stored as (
    insert into message (
        queue_number, id, visible_at, first_visible_at, expires_at, size, urgency, message_group, body, {{given}}
    )
    select
        s.queue_number, s.id, due.at, due.at, due.at + s.ttl, s.size, s.urgency, s.message_group, s.body, {{s.given}}
    from moment
    cross join unnest(
        $1::bigint[], $2::bigint[], $3::uuid[], $4::bytea[], $5::interval[], $6::timestamptz[], $7::interval[],
        $8::integer[], $9::text[], $10::smallint[], {{11.given}}
    ) as s (
        queue_number, version, id, body, delay, deliver_at, ttl, size, message_group, urgency, {{given}}
    )
    -- Nothing is stored in a queue that was changed, purged or deleted since the caller looked it up.
    join queue on queue.number = s.queue_number and queue.version = s.version
    cross join lateral (select greatest(moment.now + s.delay, s.deliver_at) as at) as due
    returning queue_number
)
select now, array(select distinct queue_number from stored) as stored from moment;

-- name: send_plain
-- The same for messages with nothing but a JSON body, which most are: a third of the parameters to encode.
with moment as materialized (
    select pg_current_xact_id() as xid, clock_timestamp() as now
), stored as (
    insert into message (queue_number, id, visible_at, first_visible_at, size, is_json, body)
    select s.queue_number, s.id, moment.now + queue.delay, moment.now + queue.delay, octet_length(s.body), true, s.body
    from moment
    cross join unnest($1::bigint[], $2::bigint[], $3::uuid[], $4::bytea[]) as s (queue_number, version, id, body)
    join queue on queue.number = s.queue_number and queue.version = s.version
    returning queue_number
)
select now, array(select distinct queue_number from stored) as stored from moment;
