import type { MessageState } from "../../api/schema";
import { FilterInput } from "../../components/forms/filter-input";
import { fromField, toField } from "../../format";
import { usePreferences } from "../../preferences";

export type Names = "state" | "group" | "header" | "after" | "before" | "order" | "live";

/** Return the filter in the URL as parameters of the API. */
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

export function Filters({
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
  // The URL contains the absolute time, so that a link means the same in every time zone. The key recreates the
  // field when the clock preference changes.
  const time = (name: Names, label: string) => (
    <FilterInput
      key={`${name} ${clock}`}
      label={utc ? `${label} (UTC)` : label}
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
        // Trailing spaces are part of the name of a group.
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
