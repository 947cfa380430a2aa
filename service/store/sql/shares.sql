-- name: lock
-- One process at a time may increase its share, because it must see the shares of the others.
select pg_advisory_xact_lock($1::bigint);

-- name: share
-- The share of process $2, which wants $3 receives, in the project's limit of $4; never less than the $5 that it uses.
insert into parked_share as s (project_id, process, receives, renewed_at)
select p.id, $2, greatest($5::integer, least($3::integer, $4::bigint - others.receives)), clock_timestamp()
from project as p
cross join lateral (
    select coalesce(sum(o.receives), 0) as receives
    from parked_share as o
    where o.project_id = p.id and o.process <> $2 and o.renewed_at > clock_timestamp() - interval '5 s'
) as others
where p.id = $1
on conflict (project_id, process) do update set receives = excluded.receives, renewed_at = excluded.renewed_at
returning receives;

-- name: renew
-- Needs no lock, because it never increases a share.
insert into parked_share as s (project_id, process, receives, renewed_at)
select p.id, $1, a.receives, clock_timestamp()
from unnest($2::bigint[], $3::integer[]) as a (project_id, receives)
join project as p on p.id = a.project_id
on conflict (project_id, process) do update set receives = excluded.receives, renewed_at = excluded.renewed_at;

-- name: drop
-- Removes shares that were not renewed for a minute: they are unused, or their process has ended.
delete from parked_share as s
where s.renewed_at < clock_timestamp() - interval '1 minute';
