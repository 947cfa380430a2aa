-- Lists of columns of a message that several statements share, with their types. In a statement {{given}} stands for
-- the names, {{m.given}} for the columns of m, {{null.given}} for as many nulls with these names, and {{8.given}} for
-- the parameters from $8 on, as arrays of these types.

-- columns: given
-- What a sender says about a message, except for where, when and in what order it is to be delivered.
is_json boolean
content_type text
headers bytea
traceparent text
tracestate text
published text

-- columns: leased
-- What a consumer or a webhook is given. `Leased` in store/messaging/leased.py has the same fields in the same order.
id uuid
visible_at timestamptz
first_received_at timestamptz
receive_count integer
size integer
urgency smallint
is_json boolean
content_type text
headers bytea
message_group text
last_error text
traceparent text
tracestate text
body bytea
dead_letter jsonb
attempts integer
published text
