-- name: used
-- What projects use: queues; messages and bytes as they were last counted; messages sent in the last hour.
select
    (select count(*) from queue as q where q.project_id = p.id) as queues,
    u.messages, u.bytes, u.counted_at,
    (
        select coalesce(sum(a.sent), 0)::bigint
        from project_activity as a
        where a.project_id = p.id and a.at > (select clock_timestamp() - interval '1 hour')
    ) as sent
from unnest($1::bigint[]) with ordinality as p (id, ord)
left join project_usage as u on u.project_id = p.id
order by p.ord;
