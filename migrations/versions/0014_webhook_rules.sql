-- What several statements ask of a webhook, said once.

-- In which state a webhook is at a time. A circuit is open until a success closes it: it counts its openings until then.
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

-- How many requests a webhook's rate has let come together; null: it has none. Nothing comes of a time that is still to
-- come, where the clock was set back.
create function webhook_tokens(allowance float8, allowed_at timestamptz, rate_limit float8, at timestamptz) returns float8
language sql stable parallel safe
return allowance + greatest(extract(epoch from at - greatest(allowed_at, at - interval '1 day')), 0) * rate_limit;
