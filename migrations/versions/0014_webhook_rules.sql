-- Rules about webhooks that several statements share.

-- The state of a webhook at a time. A circuit is open, and counts its openings, until a success closes it.
create function webhook_state(
    enabled boolean, paused_until timestamptz, pause_reason text, openings integer, at timestamptz
) returns text
language sql immutable parallel safe
return case
    when not enabled then 'disabled'
    when paused_until > at and pause_reason is distinct from 'circuit_open' then 'paused'
    when openings > 0 then 'circuit_open'
    else 'active'
end;

-- The number of requests that a webhook's rate limit allows now; null if it has none. If the clock was set back, a time in
-- the future allows no more.
create function webhook_tokens(allowance float8, allowed_at timestamptz, rate_limit float8, at timestamptz) returns float8
language sql stable parallel safe
return allowance + greatest(extract(epoch from at - greatest(allowed_at, at - interval '1 day')), 0) * rate_limit;
