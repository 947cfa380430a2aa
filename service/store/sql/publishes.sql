-- name: current
-- Which topics still have the version that the publisher has seen. A change that commits later counts as one after the
-- publish.
select a.ord
from unnest($1::bigint[], $2::bigint[]) with ordinality as a (number, version, ord)
join topic on topic.number = a.number and topic.version = a.version;
