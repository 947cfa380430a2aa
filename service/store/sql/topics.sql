-- name: find
-- Topics by project and name, each in one row with its subscriptions, by their names.
select
    a.ord, topic.*,
    coalesce(
        (
            select json_agg(json_build_array(s.name, s.queue_id, queue.name, s.filter) order by s.name)
            from subscription as s
            join queue on queue.id = s.queue_id
            where s.topic_id = topic.id
        ),
        '[]'
    )::text as subscriptions
from unnest($1::bigint[], $2::text[]) with ordinality as a (project_id, name, ord)
join topic on topic.project_id = a.project_id and topic.name = a.name;
