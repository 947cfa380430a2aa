/** Formats numbers, durations and times. */

const WHOLE = new Intl.NumberFormat("en");

export function count(value: number): string {
  return WHOLE.format(value);
}

/** Format a number briefly, for places with little room: 1234567 → 1.2 M. */
export function short(value: number): string {
  if (Math.abs(value) < 10_000) return count(Math.round(value));
  for (const [size, unit] of [
    [1e9, "G"],
    [1e6, "M"],
    [1e3, "k"],
  ] as const) {
    if (Math.abs(value) >= size)
      return `${(value / size).toFixed(Math.abs(value) >= 100 * size ? 0 : 1)} ${unit}`;
  }
  return count(value);
}

/** Format a rate per second. */
export function rate(value: number): string {
  if (value === 0) return "0";
  if (value < 0.1) return "<0.1";
  return value < 10 ? value.toFixed(1) : short(Math.round(value));
}

const UNITS = [
  [86_400, "d"],
  [3_600, "h"],
  [60, "min"],
  [1, "s"],
] as const;

/** Format seconds: 93784 → "1 d 2 h", 2145 → "35 min". The second unit is left out if the first is 10 or more. */
export function duration(seconds: number): string {
  if (seconds < 1) return seconds <= 0 ? "0 s" : `${Math.max(1, Math.round(seconds * 1000))} ms`;
  let rest = Math.round(seconds);
  const parts: string[] = [];
  for (const [size, unit] of UNITS) {
    const whole = Math.floor(rest / size);
    if (whole > 0) parts.push(`${whole} ${unit}`);
    rest -= whole * size;
    if (parts.length === 2 || (parts.length === 1 && (whole === 0 || whole >= 10))) break;
  }
  return parts.join(" ");
}

export function bytes(size: number): string {
  if (size < 1024) return `${size} B`;
  for (const [unit, name] of [
    [1024 ** 3, "GiB"],
    [1024 ** 2, "MiB"],
    [1024, "KiB"],
  ] as const) {
    if (size >= unit) return `${(size / unit).toFixed(size >= 100 * unit ? 0 : 1)} ${name}`;
  }
  return `${size} B`;
}

/** Format a time relative to now: "3 min ago", "in 5 s". */
export function relative(time: string, now: number): string {
  const seconds = (Date.parse(time) - now) / 1000;
  if (Math.abs(seconds) < 1) return "now";
  return seconds < 0 ? `${duration(-seconds)} ago` : `in ${duration(seconds)}`;
}

/** Format a time as 2026-11-25 08:00:00.123, in the browser's time zone or in UTC. */
export function timestamp(time: string, utc: boolean): string {
  const at = new Date(time);
  const part = (name: "FullYear" | "Month" | "Date" | "Hours" | "Minutes" | "Seconds" | "Milliseconds") =>
    utc ? at[`getUTC${name}`]() : at[`get${name}`]();
  const two = (value: number) => String(value).padStart(2, "0");
  const date = `${String(part("FullYear")).padStart(4, "0")}-${two(part("Month") + 1)}-${two(part("Date"))}`;
  const clock = `${two(part("Hours"))}:${two(part("Minutes"))}:${two(part("Seconds"))}`;
  return `${date} ${clock}.${String(part("Milliseconds")).padStart(3, "0")}${utc ? " UTC" : ""}`;
}

export function plural(n: number, noun: string): string {
  return `${count(n)} ${noun}${n === 1 ? "" : "s"}`;
}

/** Return a name, quoted if it contains whitespace that would otherwise be invisible. */
export function visible(name: string): string {
  return name === name.trim() && !/\s\s|[^\S ]/.test(name)
    ? name
    : JSON.stringify(name).replaceAll(" ", "\u00a0");
}

/** Return a time as the value of a datetime-local field, in the browser's time zone or in UTC. */
export function toField(instant: string, utc: boolean): string {
  return Number.isNaN(Date.parse(instant)) ? "" : timestamp(instant, utc).slice(0, 19).replace(" ", "T");
}

/** Return the time of a datetime-local field as ISO 8601. Empty while the field is incomplete. */
export function fromField(text: string, utc: boolean): string {
  const at = new Date(utc ? `${text}Z` : text);
  return text === "" || Number.isNaN(at.getTime()) ? "" : at.toISOString();
}

export function percent(part: number | null): string {
  return part === null ? "–" : `${(100 * part).toFixed(part === 1 ? 0 : 1)} %`;
}
