import { useState } from "preact/hooks";
import { useAccess } from "../../access";
import { answer, api } from "../../api/client";
import type { Queue } from "../../api/schema";
import { Button } from "../../components/controls/button";
import { Empty } from "../../components/states/empty";
import { Listing } from "../../components/tables/listing";
import { usePages } from "../../components/tables/pages";
import { useSelection } from "../../components/tables/selection";
import { curl } from "../../curl";
import { useParams } from "../../params";
import { type Action, ActOn, type Chosen, useTakesDeadLetters } from "./act";
import { SelectedBar } from "./bulk";
import { checks, messageColumns } from "./columns";
import { Filters, filterOf, type Names } from "./filters";

export function Messages({ queue }: { queue: Queue }) {
  const [param, setParam] = useParams<Names>();
  const { may } = useAccess();
  const [acting, setActing] = useState<{ chosen: Chosen; start: Action; title?: string } | null>(null);
  const dead = useTakesDeadLetters(queue.name);
  const filter = filterOf(param);
  const live = param("live") !== "";
  const order = live || param("order") === "newest" ? "newest" : "oldest";
  const list = usePages(
    ["queues", "messages", queue.name, filter, order, live],
    (cursor) =>
      answer(
        api.GET("/v1/queues/{queue}/messages", {
          params: {
            path: { queue: queue.name },
            query: { limit: 100, order, ...filter, ...(cursor && { cursor }) },
          },
        }),
      ),
    live ? { seconds: 1.5 } : {},
  );
  const shown = list.isPlaceholderData ? [] : list.items.map(({ id }) => id);
  const selection = useSelection(shown, JSON.stringify([filter, order]));
  const columns = [...(may("manage") ? [checks(selection, shown)] : []), ...messageColumns(queue)];
  return (
    <div class="stack">
      <Filters param={param} set={setParam} fifo={queue.type === "fifo"}>
        {!live && (
          <Button icon="refresh" busy={list.isRefetching} onClick={() => list.refetch()}>
            Refresh
          </Button>
        )}
        {may("manage") && (
          <Button
            disabled={dead === undefined}
            onClick={() => setActing({ chosen: { filter }, start: dead ? "redrive" : "delete" })}
          >
            Act on all matching…
          </Button>
        )}
      </Filters>
      <Listing
        list={live ? { ...list, hasNextPage: false } : list}
        label="Messages"
        columns={columns}
        keyOf={({ id }) => id}
        rowHeight={52}
        selected={({ id }) => selection.has(id)}
        empty={
          <Empty
            title={Object.keys(filter).length > 0 ? "No messages match" : "No messages"}
            curl={curl("POST", `/v1/queues/${queue.name}/messages`, '{"body": {"order": 17}}')}
          >
            Browsing leases no messages and changes nothing about them.
          </Empty>
        }
      />
      {live && (
        <p class="hint">The newest 100 messages, refreshed every 1.5 seconds while this tab is visible.</p>
      )}
      {selection.names.length > 0 && (
        <SelectedBar
          queue={queue.name}
          selection={selection}
          dead={dead ?? false}
          act={(start) =>
            setActing({
              chosen: { message_ids: [...selection.names] },
              start,
              title: "Act on the selected messages",
            })
          }
          renew={list.refetch}
        />
      )}
      {acting && (
        <ActOn
          queue={queue}
          {...acting}
          onClose={() => {
            setActing(null);
            void list.refetch();
          }}
        />
      )}
    </div>
  );
}
