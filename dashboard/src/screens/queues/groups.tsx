import { Link } from "wouter-preact";
import { answer, api } from "../../api/client";
import type { Group, Queue } from "../../api/schema";
import { Choice } from "../../components/controls/choice";
import { Badge } from "../../components/states/badge";
import { Empty } from "../../components/states/empty";
import { Listing } from "../../components/tables/listing";
import { usePages } from "../../components/tables/pages";
import type { Column } from "../../components/tables/table";
import { Ago } from "../../components/text/time";
import { curl } from "../../curl";
import { count, visible } from "../../format";
import { useParams } from "../../params";
import { Holder } from "../messages";

/** The groups of a fifo queue: the number of messages in each, and the message that holds it. */
export function Groups({ queue }: { queue: Queue }) {
  const [param, setParam] = useParams<"blocked">();
  const blocked = param("blocked") !== "";
  const list = usePages(
    ["queues", "groups", queue.name, blocked],
    (cursor) =>
      answer(
        api.GET("/v1/queues/{queue}/groups", {
          params: {
            path: { queue: queue.name },
            query: { limit: 200, ...(blocked && { blocked }), ...(cursor && { cursor }) },
          },
        }),
      ),
    { seconds: 3 },
  );
  return (
    <div class="stack">
      <div class="toolbar">
        <Choice
          label="Which groups"
          value={blocked ? "1" : ""}
          onValue={(value) => setParam({ blocked: value })}
          options={[
            ["", "All"],
            ["1", "Held"],
          ]}
        />
      </div>
      <Listing
        list={list}
        label="Groups"
        whole
        columns={columns(queue.name)}
        keyOf={({ group }) => JSON.stringify(group)}
        empty={
          <Empty
            title={blocked ? "No groups are held" : "No groups"}
            curl={curl(
              "POST",
              `/v1/queues/${queue.name}/messages`,
              '{"group": "customer-17", "body": {"order": 17}}',
            )}
          >
            Messages of a group are delivered in order, to one consumer at a time.
          </Empty>
        }
      />
    </div>
  );
}

const HELD = { lease: "leased", delay: "delayed", webhook: "blocked" };

function columns(queue: string): Column<Group>[] {
  return [
    {
      name: "group",
      head: "Group",
      kind: "grow",
      cell: ({ group }) =>
        group === null ? (
          <span class="faint">no group</span>
        ) : (
          <Link class="mono clip" href={`/queues/${queue}/messages?group=${encodeURIComponent(group)}`}>
            {visible(group)}
          </Link>
        ),
    },
    { name: "depth", head: "Messages", kind: "number", cell: ({ depth }) => count(depth) },
    {
      name: "holder",
      head: "Held by",
      cell: ({ held_by }) =>
        held_by && (
          <span class="name-cell">
            <Link href={`/queues/${queue}/messages/${held_by.message_id}`}>
              <Badge state={HELD[held_by.reason]} />
            </Link>
            <Link class="mono clip extra" href={`/queues/${queue}/messages/${held_by.message_id}`}>
              {held_by.message_id}
            </Link>
          </span>
        ),
    },
    {
      name: "taken",
      head: "Leased to",
      kind: "extra",
      cell: ({ held_by }) => held_by?.holder && <Holder holder={held_by.holder} />,
    },
    {
      name: "since",
      head: "Until",
      kind: "number extra",
      cell: ({ held_by }) => (held_by?.until ? <Ago time={held_by.until} /> : held_by && "manual retry"),
    },
  ];
}
