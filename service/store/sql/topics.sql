-- name: find
-- Topics of these projects and names, each with its subscriptions in one row, by name.
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

-- name: current
-- Whether a topic is still as a publisher has seen it. What changes it after this comes after the publish.
select exists (select from topic where number = $1::bigint and version = $2::bigint) as current;
