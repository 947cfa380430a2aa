import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { Link } from "wouter-preact";
import { useAccess } from "../../access";
import type { Overview as Seen } from "../../api/schema";
import { Amount } from "../../components/charts/stats";
import { Button } from "../../components/controls/button";
import { duration, short } from "../../format";
import { Redrive } from "./redrive";

export function TooSlow() {
  return (
    <p class="quiet">
      The query took longer than a second. A transaction that has been open for long may be keeping the
      database from removing dead rows.
    </p>
  );
}

/** The queues with dead letters, or `none`, which can be next to the dialog of a redrive that emptied the last queue. */
export function DeadLetterList({ seen, none }: { seen: Seen; none: ComponentChildren }) {
  const { may } = useAccess();
  const [redriving, setRedriving] = useState<string | null>(null);
  return (
    <>
      {seen.dead_letters === null ? <TooSlow /> : seen.dead_letters.length === 0 && none}
      <ul class="lines">
        {(seen.dead_letters ?? []).map((letters) => (
          <li key={letters.queue} class="line">
            <div class="line-text">
              <Link
                class="mono clip"
                href={`/queues/${letters.queue}${may("browse") ? "/dead-letters" : ""}`}
              >
                {letters.queue}
              </Link>
              <span class="faint clip">
                {letters.sources.length > 0 && `from ${letters.sources.join(", ")}`}
                {letters.stats.oldest_ready_age !== null &&
                  ` · oldest ${duration(letters.stats.oldest_ready_age)}`}
              </span>
            </div>
            <span class="dead-count">
              <strong>
                <Amount stats={letters.stats} of="total" />
              </strong>
              <Growth by={letters.growth} />
            </span>
            {may("manage") && (
              <Button
                icon="refresh"
                onClick={() => setRedriving(letters.queue)}
                aria-label={`Redrive ${letters.queue}`}
              >
                Redrive
              </Button>
            )}
          </li>
        ))}
      </ul>
      {redriving && (
        <Redrive
          queue={redriving}
          total={seen.dead_letters?.find(({ queue }) => queue === redriving)?.stats.total ?? 0}
          onClose={() => setRedriving(null)}
        />
      )}
    </>
  );
}

function Growth({ by }: { by: number }) {
  if (by === 0) return <span class="faint">no change in 1 h</span>;
  return (
    <span class={by > 0 ? "late" : "better"}>{`${by > 0 ? "+" : "−"}${short(Math.abs(by))} in 1 h`}</span>
  );
}
