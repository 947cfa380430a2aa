import { expect, test } from "vitest";
import { bytes, duration, plural, rate, relative, short, timestamp, visible } from "../src/format";

test("a name is in quotes where it would look like another one", () => {
  expect(["a", "big customer", 'notify "a"'].map(visible)).toEqual(["a", "big customer", 'notify "a"']);
  expect([" a ", "a  b", "a\u00a0b", "a\nb"].map(visible)).toEqual([
    '"\u00a0a\u00a0"',
    '"a\u00a0\u00a0b"',
    '"a\u00a0b"',
    '"a\\nb"',
  ]);
});

test.each([
  [0, "0 s"],
  [0.0004, "1 ms"],
  [0.292, "292 ms"],
  [1, "1 s"],
  [59.6, "1 min"],
  [61, "1 min 1 s"],
  [3600, "1 h"],
  [3661, "1 h 1 min"],
  [86_405, "1 d"],
  [93_784, "1 d 2 h"],
  [2145, "35 min"],
  [1_000_000, "11 d"],
])("%d seconds are %s", (seconds, text) => {
  expect(duration(seconds)).toBe(text);
});

test.each([
  [9999, "9,999"],
  [10_000, "10.0 k"],
  [1_234_567, "1.2 M"],
  [250_000_000, "250 M"],
  [-12_345, "-12.3 k"],
])("%d is written as %s where there is little room", (value, text) => {
  expect(short(value)).toBe(text);
});

test.each([
  [0, "0"],
  [0.05, "<0.1"],
  [2.25, "2.3"],
  [1234.4, "1,234"],
])("a rate of %d is %s", (value, text) => {
  expect(rate(value)).toBe(text);
});

test.each([
  [0, "0 B"],
  [1023, "1023 B"],
  [1536, "1.5 KiB"],
  [262_144, "256 KiB"],
  [5 * 1024 ** 3, "5.0 GiB"],
])("%d bytes are %s", (size, text) => {
  expect(bytes(size)).toBe(text);
});

test("a time is told from now, and exactly in UTC", () => {
  const now = Date.parse("2026-11-25T08:00:00Z");
  expect(relative("2026-11-25T07:57:00Z", now)).toBe("3 min ago");
  expect(relative("2026-11-25T08:00:05Z", now)).toBe("in 5 s");
  expect(relative("2026-11-25T08:00:00.400Z", now)).toBe("now");
  expect(timestamp("2026-11-25T08:00:00.123456Z", true)).toBe("2026-11-25 08:00:00.123 UTC");
});

test("one is one, and all else many", () => {
  expect([plural(1, "queue"), plural(0, "queue"), plural(1234, "message")]).toEqual([
    "1 queue",
    "0 queues",
    "1,234 messages",
  ]);
});
