alter table webhook add column pause_reason text;

update webhook
set paused_until = greatest(paused_until, open_until),
    pause_reason = case
        when gone then 'gone'
        when open_until >= coalesce(paused_until, '-infinity') then 'circuit_open'
        when paused_until is not null then 'retry_after'
    end;

alter table webhook
    drop column open_until,
    drop column last_error,
    drop column gone;

drop function webhook_state(boolean, timestamptz, integer, timestamptz);

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
