-- The beginning of an error, with placeholders for its variable parts: quoted texts, UUIDs, long hexadecimal numbers and
-- all other numbers. Errors with equal results belong to the same group.
create function folded_error(error text) returns text language sql immutable strict parallel safe as $$
select regexp_replace(
    regexp_replace(
        regexp_replace(
            left(error, 200),
            '"[^"]*"|''[^'']*''(?!\w)|`[^`]*`|“[^”]*”|«[^»]*»', '"…"', 'g'
        ),
        '[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}|\m(?=[a-f]*[0-9])[0-9a-f]{12,}\M', '#', 'gi'
    ),
    '[0-9]+(?:[.,:][0-9]+)*', '#', 'g'
)
$$;
