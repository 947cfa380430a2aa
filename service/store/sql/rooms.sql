-- name: enter
-- Whoever sends within what was granted shares this lock until it commits; whoever counts has it alone (`count`), so that
-- nobody's messages are under way meanwhile.
select pg_advisory_xact_lock_shared($1::bigint);

-- name: granted
select grant_id, version, permits from queue_room where queue_number = $1 and process = $2;

-- name: close
select pg_advisory_xact_lock($1::bigint);

-- name: count
-- Counts no further than it has to.
select count(*) as length
from (select from message where queue_number = $1 limit $2) as counted;

-- name: grant
-- Share what is left with those who have sent lately, and forget the others.
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
