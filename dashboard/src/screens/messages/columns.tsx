import { Link } from "wouter-preact";
import type { BrowsedMessage, Queue } from "../../api/schema";
import { Badge } from "../../components/states/badge";
import type { Selection } from "../../components/tables/selection";
import type { Column } from "../../components/tables/table";
import { Ago } from "../../components/text/time";
import { bytes, visible } from "../../format";

export function messageColumns(queue: Queue): Column<BrowsedMessage>[] {
  return [
    { name: "state", head: "State", cell: ({ state }) => <Badge state={state} /> },
    {
      name: "message",
      head: "Message",
      kind: "grow",
      cell: (message) => (
        <Link class="preview" href={`/queues/${queue.name}/messages/${message.id}`}>
          <span class="mono clip">{preview(message)}</span>
          <span class="faint clip">
            {message.dead_letter
              ? `${message.dead_letter.reason}: ${message.dead_letter.last_error ?? "no error given"}`
              : message.id}
          </span>
        </Link>
      ),
    },
    ...(queue.type === "fifo"
      ? [
          {
            name: "group",
            head: "Group",
            kind: "extra" as const,
            cell: ({ group }: BrowsedMessage) => (
              <span class="mono clip">{group === null ? "–" : visible(group)}</span>
            ),
          },
        ]
      : []),
    { name: "receives", head: "Receives", kind: "number extra", cell: ({ receive_count }) => receive_count },
    { name: "size", head: "Size", kind: "number extra", cell: ({ body_size }) => bytes(body_size) },
    { name: "sent", head: "Sent", kind: "number", cell: ({ sent_at }) => <Ago time={sent_at} /> },
  ];
}

/** Return the beginning of the body on one line. For bytes, only printable characters are shown. */
export function preview(message: BrowsedMessage): string {
  if (message.body_size === 0) return "(empty)";
  const text = message.preview ?? latin(message.preview_base64 ?? "");
  return text.replaceAll(/\s+/g, " ");
}

function latin(encoded: string): string {
  return atob(encoded).replaceAll(/[^\x20-\x7e]/g, "·");
}

export function checks(selection: Selection, shown: readonly string[]): Column<BrowsedMessage> {
  return {
    name: "check",
    kind: "check",
    head: <span class="hidden">Select</span>,
    cell: ({ id, state }) => (
      <input
        type="checkbox"
        aria-label={`Select ${id}`}
        checked={selection.has(id)}
        disabled={state === "leased" || shown.length === 0}
        onChange={() => selection.toggle(id)}
      />
    ),
  };
}
