import type { QueueStats } from "../../api/schema";
import { count, duration, plural, short } from "../../format";
import { Figure } from "../page/card";

/** The number of messages in a state, with `~` if it is an estimate. */
export function Amount({ stats, of }: { stats: QueueStats; of: "ready" | "delayed" | "leased" | "total" }) {
  const value = stats[of];
  const about = stats.approximate && value > 1000 ? "~" : "";
  return (
    <span title={`${about}${count(value)}`} class={value === 0 ? "faint" : ""}>
      {about}
      {short(value)}
    </span>
  );
}

/** Return the number of messages, for use in a sentence. */
export function messagesIn(stats: QueueStats): string {
  return `${stats.approximate ? "about " : ""}${plural(stats.total, "message")}`;
}

/** How long the oldest ready message has been ready. */
export function Oldest({ stats }: { stats: QueueStats }) {
  if (stats.oldest_ready_age === null) return <span class="faint">–</span>;
  return <span class={stats.oldest_ready_age > 300 ? "late" : ""}>{duration(stats.oldest_ready_age)}</span>;
}

export function StatsFigures({ stats }: { stats: QueueStats }) {
  return (
    <div class="figures">
      <Figure name="Ready" tone="blue">
        <Amount stats={stats} of="ready" />
      </Figure>
      <Figure name="Leased" tone="amber">
        <Amount stats={stats} of="leased" />
      </Figure>
      <Figure name="Delayed" tone="violet">
        <Amount stats={stats} of="delayed" />
      </Figure>
      <Figure name="Oldest ready">
        <Oldest stats={stats} />
      </Figure>
    </div>
  );
}
