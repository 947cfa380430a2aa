import { useEffect, useState } from "preact/hooks";
import { relative, timestamp } from "../../format";
import { usePreferences } from "../../preferences";

let now = Date.now();
const listeners = new Set<(now: number) => void>();
setInterval(() => {
  if (document.hidden || listeners.size === 0) return;
  now = Date.now();
  for (const listener of listeners) listener(now);
}, 1000);

/** Return the current time, updated every second by one timer for the whole page. */
export function useNow(): number {
  // The shared time is not updated while no component listens.
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

/** A time relative to now, with the exact time as its tooltip. */
export function Ago({ time }: { time: string }) {
  const moment = useNow();
  const { clock } = usePreferences();
  return (
    <time dateTime={time} title={timestamp(time, clock === "utc")}>
      {relative(time, moment)}
    </time>
  );
}

/** The exact time, in the time zone that the user chose. */
export function At({ time }: { time: string }) {
  const { clock } = usePreferences();
  return (
    <time class="nowrap" dateTime={time} title={time}>
      {timestamp(time, clock === "utc")}
    </time>
  );
}
