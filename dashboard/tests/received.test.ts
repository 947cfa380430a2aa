import { expect, test } from "vitest";
import { allHeldFrom } from "../src/screens/playground/received";

test("a body that is received is shown as it was sent", () => {
  const first = '{"receipt": "r1", "body": {"n": 12345678901234567890, "n": 1.0}}';
  const second = '{"receipt": "r2", "body_base64": "AAE="}';
  const third = '{"receipt": "r3", "body": null}';
  const held = allHeldFrom(`{"messages":[${first}, ${second},${third}]}`);
  expect(held.map(({ message }) => message.receipt)).toEqual(["r1", "r2", "r3"]);
  expect(held.map(({ text }) => text)).toEqual(['{"n": 12345678901234567890, "n": 1.0}', "AAE=", "null"]);
  expect(allHeldFrom('{"messages":[]}')).toEqual([]);
});
