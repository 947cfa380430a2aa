-- name: touch
update api_key as k
set last_used_at = date_trunc('minute', used.at)
from unnest($1::uuid[], $2::timestamptz[]) as used (id, at)
where k.id = used.id and (k.last_used_at is null or k.last_used_at < date_trunc('minute', used.at));
