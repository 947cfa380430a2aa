import { useState } from "preact/hooks";
import { Link } from "wouter-preact";
import { useAccess } from "../access";
import { answer, api } from "../api/client";
import type { BrowsedMessage, MessageState, Queue } from "../api/schema";
import { BulkBar, eachWhileHere, throwFirst } from "../components/bulk";
import { Button } from "../components/button";
import { FilterInput } from "../components/filter-input";
import { Listing } from "../components/listing";
import { usePages } from "../components/pages";
import { type Selection, useSelection } from "../components/selection";
import { Badge, Empty } from "../components/states";
import type { Column } from "../components/table";
import { Ago } from "../components/time";
import { say } from "../components/toasts";
import { curl } from "../curl";
import { bytes, fromField, plural, toField, visible } from "../format";
import { useParams } from "../params";
import { usePreferences } from "../preferences";
import { ActOnAll } from "./act-on-all";

export type Names = "state" | "group" | "header" | "after" | "before" | "order" | "live";

/** The filter as the URL has it, and as the API takes it. */
export function filterOf(param: (name: Names) => string) {
  const [header = "", ...value] = param("header").split("=");
  return {
    ...(param("state") && { state: param("state") as MessageState }),
    ...(param("group") && { group: param("group") }),
    ...(param("header") && { [`header.${header.trim()}`]: value.join("=").trim() }),
    ...(param("after") && { sent_after: param("after") }),
    ...(param("before") && { sent_before: param("before") }),
  };
}

export function Messages({ queue }: { queue: Queue }) {
  const [param, setParam] = useParams<Names>();
  const { may } = useAccess();
  const [acting, setActing] = useState(false);
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
            Renew
          </Button>
        )}
        {may("manage") && <Button onClick={() => setActing(true)}>Act on all that match …</Button>}
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
            title={Object.keys(filter).length > 0 ? "No message matches" : "No messages"}
            curl={curl("POST", `/v1/queues/${queue.name}/messages`, '{"body": {"order": 17}}')}
          >
            Looking at messages takes none from a consumer, and changes nothing about them.
          </Empty>
        }
      />
      {live && (
        <p class="hint">The newest hundred, asked for again every 1.5 seconds while this tab is in sight.</p>
      )}
      {selection.names.length > 0 && (
        <SelectedBar queue={queue.name} selection={selection} renew={list.refetch} />
      )}
      {acting && (
        <ActOnAll
          queue={queue}
          filter={filter}
          onClose={() => {
            setActing(false);
            void list.refetch();
          }}
        />
      )}
    </div>
  );
}

function Filters({
  param,
  set,
  fifo,
  children,
}: {
  param: (name: Names) => string;
  set: (changes: Partial<Record<Names, string>>) => void;
  fifo: boolean;
  children: preact.ComponentChildren;
}) {
  const { clock } = usePreferences();
  const utc = clock === "utc";
  // The URL has the instant, so that a link means the same to everybody. Made anew for the other clock.
  const time = (name: Names, label: string) => (
    <FilterInput
      key={`${name} ${clock}`}
      label={utc ? `${label}, UTC` : label}
      type="datetime-local"
      step={1}
      value={param(name)}
      show={(value) => toField(value, utc)}
      read={(text) => fromField(text, utc)}
      commit={(value) => set({ [name]: value })}
    />
  );
  return (
    <search class="toolbar filters">
      <label class="inline">
        <span>State</span>
        <select value={param("state")} onChange={(event) => set({ state: event.currentTarget.value })}>
          <option value="">Any</option>
          <option value="ready">Ready</option>
          <option value="leased">Leased</option>
          <option value="delayed">Delayed</option>
        </select>
      </label>
      <FilterInput
        label="Group"
        type="text"
        placeholder={fifo ? "customer-17" : ""}
        value={param("group")}
        data-filter=""
        // A blank at its end makes another group of it.
        read={(text) => text}
        commit={(value) => set({ group: value })}
      />
      <FilterInput
        label="Header"
        type="text"
        placeholder="name=value"
        value={param("header")}
        commit={(value) => set({ header: value })}
      />
      {time("after", "Sent after")}
      {time("before", "Sent before")}
      <label class="inline">
        <span>Order</span>
        <select
          value={param("live") ? "newest" : param("order")}
          disabled={param("live") !== ""}
          onChange={(event) => set({ order: event.currentTarget.value })}
        >
          <option value="">Oldest first</option>
          <option value="newest">Newest first</option>
        </select>
      </label>
      <button
        type="button"
        class="button plain live"
        aria-pressed={param("live") !== ""}
        onClick={() => set({ live: param("live") ? "" : "1" })}
      >
        <i class="dot" /> Live tail
      </button>
      <span class="actions">{children}</span>
    </search>
  );
}

function messageColumns(queue: Queue): Column<BrowsedMessage>[] {
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

/** The beginning of the body on one line; of bytes, what is readable of them. */
export function preview(message: BrowsedMessage): string {
  if (message.body_size === 0) return "(empty)";
  const text = message.preview ?? latin(message.preview_base64 ?? "");
  return text.replaceAll(/\s+/g, " ");
}

function latin(encoded: string): string {
  return atob(encoded).replaceAll(/[^\x20-\x7e]/g, "·");
}

function checks(selection: Selection, shown: readonly string[]): Column<BrowsedMessage> {
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

function SelectedBar({
  queue,
  selection,
  renew,
}: {
  queue: string;
  selection: Selection;
  renew: () => unknown;
}) {
  const ids = selection.names;
  const remove = async () => {
    const { done, refused } = await eachWhileHere(ids, (message_id) =>
      answer(
        api.DELETE("/v1/queues/{queue}/messages/{message_id}", { params: { path: { queue, message_id } } }),
      ),
    );
    selection.settle(ids, refused);
    say(`Deleted ${plural(done, "message")}.`);
    await renew();
    throwFirst(refused);
  };
  return (
    <BulkBar
      count={ids.length}
      noun="message"
      clear={() => selection.set([])}
      actions={[
        {
          name: "Delete",
          danger: true,
          about: (
            <p>
              They are removed from {queue} for good. One that a consumer took meanwhile stays, and is told.
            </p>
          ),
          run: remove,
        },
      ]}
    />
  );
}
