import { expect, test } from "vitest";
import { interval } from "../src/api/polling";
import { rates, recentRate } from "../src/components/charts/rates";
import { points } from "../src/components/charts/sparkline";
import { rowsInSight } from "../src/components/tables/table";

test("of a million rows those in the window are drawn, with a few around them", () => {
  const [first, last] = rowsInSight(-20_000_000, 900, 1_000_000, 40);
  expect([first, last]).toEqual([499_990, 500_033]);
});

test("the ends of a list are drawn no further than they go", () => {
  expect(rowsInSight(200, 900, 5, 40)).toEqual([0, 5]);
  expect(rowsInSight(-40_000, 900, 5, 40)).toEqual([5, 5]);
  expect(rowsInSight(2000, 900, 500, 40)).toEqual([0, 0]);
});

test("a panel rests ten times as long as its answer took, longer after each failure, a minute at most", () => {
  expect(interval(2000, 50, 0)).toBe(2000);
  expect(interval(2000, 1500, 0)).toBe(15_000);
  expect(interval(2000, 0, 3)).toBe(16_000);
  expect(interval(2000, 0, 5)).toBe(60_000);
});

test("the bucket under way is a rate by the time that has passed of it", () => {
  expect(rates([600, 300, 100], 60, 1000, 1000 + 120 + 20)).toEqual([10, 5, 5]);
  expect(rates([60], 60, 1000, 1001)).toEqual([6]);
  expect(recentRate([600, 300, 100], 60, 1000, 1000 + 120 + 20)).toBe(5);
  expect(recentRate([0], 60, 1000, 1000)).toBe(0);
});

test("a line keeps within its box, whatever the values", () => {
  for (const values of [
    [0, 0, 0],
    [5, 5],
    [1, 1e12, 3],
    [0, 1],
  ]) {
    for (const point of points(values, 96, 24).split("L")) {
      const [x, y] = point.split(" ").map(Number) as [number, number];
      expect(x).toBeGreaterThanOrEqual(0);
      expect(x).toBeLessThanOrEqual(96);
      expect(y).toBeGreaterThanOrEqual(0);
      expect(y).toBeLessThanOrEqual(24);
    }
  }
});
