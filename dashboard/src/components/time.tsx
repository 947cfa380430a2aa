import { useEffect, useState } from "preact/hooks";
import { relative, timestamp } from "../format";
import { usePreferences } from "../preferences";

let now = Date.now();
const listeners = new Set<(now: number) => void>();
setInterval(() => {
  if (document.hidden || listeners.size === 0) return;
  now = Date.now();
  for (const listener of listeners) listener(now);
}, 1000);

/** The present moment, anew every second; one timer for the whole page. */
export function useNow(): number {
  // While nobody listens, it stands still.
  const [moment, setMoment] = useState(() => {
    now = Date.now();
    return now;
  });
  useEffect(() => {
    listeners.add(setMoment);
    return () => {
      listeners.delete(setMoment);
    };
  }, []);
  return Math.max(moment, now);
}

/** A time as how long ago it was; the exact one when pointed at. */
export function Ago({ time }: { time: string }) {
  const moment = useNow();
  const { clock } = usePreferences();
  return (
    <time dateTime={time} title={timestamp(time, clock === "utc")}>
      {relative(time, moment)}
    </time>
  );
}

/** The exact time, in the zone that was chosen. */
export function At({ time }: { time: string }) {
  const { clock } = usePreferences();
  return (
    <time class="nowrap" dateTime={time} title={time}>
      {timestamp(time, clock === "utc")}
    </time>
  );
}
