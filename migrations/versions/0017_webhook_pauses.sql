-- `paused_until`: the end of a pause that the receiver requested (Retry-After); a success does not end it. `open_until`:
-- until when the open circuit blocks. `last_error`: the last failure since the last success. `gone`: the receiver answered
-- 410.
alter table webhook
    add column open_until timestamptz,
    add column last_error text,
    add column gone boolean not null default false;

update webhook set open_until = paused_until, paused_until = null where pause_reason = 'circuit_open';
update webhook set gone = true where pause_reason = 'gone';

alter table webhook drop column pause_reason;

drop function webhook_state(boolean, timestamptz, text, integer, timestamptz);

-- The state of a webhook at a time. A circuit is open, and counts its openings, until it is closed.
create function webhook_state(
    enabled boolean, paused_until timestamptz, openings integer, at timestamptz
) returns text
language sql immutable parallel safe
return case
    when not enabled then 'disabled'
    when paused_until > at then 'paused'
    when openings > 0 then 'circuit_open'
    else 'active'
end;
