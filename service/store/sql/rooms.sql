-- name: enter
-- A transaction that sends within a grant shares this lock until it commits. A count takes it exclusively (`close`), so
-- that no messages are being stored meanwhile.
select pg_advisory_xact_lock_shared($1::bigint);

-- name: granted
select grant_id, version, permits from queue_room where queue_number = $1 and process = $2;

-- name: close
select pg_advisory_xact_lock($1::bigint);

-- name: count
-- Counts up to $2 messages, which is as far as it needs to.
select count(*) as length
from (select from message where queue_number = $1 limit $2) as counted;

-- name: grant
-- Divides the room $4 equally between this process and the others that counted in the last ten seconds; forgets the
-- rest.
with recent as (
    select process from queue_room
    where queue_number = $1 and process <> $2 and used_at > clock_timestamp() - interval '10 seconds'
), forgotten as (
    delete from queue_room
    where queue_number = $1 and process <> $2 and used_at <= clock_timestamp() - interval '10 seconds'
), share as (
    select $4::bigint / (1 + count(*)) as permits from recent
), others as (
    update queue_room
    set grant_id = $5, version = $3, permits = share.permits
    from share, recent
    where queue_room.queue_number = $1 and queue_room.process = recent.process
)
insert into queue_room (queue_number, process, grant_id, version, permits, used_at)
select $1, $2, $5, $3, share.permits, clock_timestamp() from share
on conflict (queue_number, process) do update
set grant_id = excluded.grant_id, version = excluded.version, permits = excluded.permits, used_at = excluded.used_at
returning permits;

-- name: withdraw
delete from queue_room where queue_number = $1;
