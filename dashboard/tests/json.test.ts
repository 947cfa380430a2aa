import { expect, test } from "vitest";
import { itemTexts, memberText, pretty, readJson } from "../src/json";

test("numbers of any size, equal names, their order and escapes stay as they were written", () => {
  const text = String.raw`{"b":12345678901234567890,"a":1.0,"b":-1E+400,"s":"\u0000\ud800\/","n":[null,true,[]]}`;
  expect(pretty(readJson(text)).replaceAll(/\n */g, "").replaceAll(": ", ":")).toBe(text);
});

test("a member's text is exactly what stands there, the last one if a name is given twice", () => {
  expect(memberText('{"id":"x","body": {"n" : 1.50 },"z":1}', "body")).toBe('{"n" : 1.50 }');
  expect(memberText('{"body":1,"body":2}', "body")).toBe("2");
  expect(memberText(String.raw`{"\u0062ody":3}`, "body")).toBe("3");
  expect(memberText("{}", "body")).toBeNull();
});

test("an array's items are cut out as they stand there", () => {
  expect(itemTexts('[ {"n": 1.0} ,12345678901234567890,"a,]"]')).toEqual([
    '{"n": 1.0}',
    "12345678901234567890",
    '"a,]"',
  ]);
  expect(itemTexts("[ ]")).toEqual([]);
});

test.each(["", "{", "[1,]", '{"a"}', '{"a":1,}', "01", "1.", "+1", "nul", '"\n"', "[1] 2", "{'a':1}", "NaN"])(
  "%j is no JSON",
  (text) => {
    expect(() => readJson(text)).toThrow(SyntaxError);
    expect(() => JSON.parse(text)).toThrow();
  },
);

test("what is nested as deep as the service takes is read, and what is deeper does not end the page", () => {
  const nested = (levels: number) => "[".repeat(levels) + "]".repeat(levels);
  expect(readJson(nested(901)).kind).toBe("array");
  expect(() => readJson(nested(100_000))).toThrow(SyntaxError);
});

test("a body that would be gigabytes on lines of their own is written as far as it is wanted", () => {
  const text = `${"[".repeat(800)}${"0,".repeat(100_000)}0${"]".repeat(800)}`;
  const started = performance.now();
  const written = pretty(readJson(text), 50_000);
  expect(performance.now() - started).toBeLessThan(1000);
  expect(written.length).toBeGreaterThan(50_000);
  expect(written.length).toBeLessThan(200_000);
});

test("a megabyte is read in less than a second", () => {
  const text = JSON.stringify(Array.from({ length: 40_000 }, (_, n) => ({ n, text: "x".repeat(10) })));
  const started = performance.now();
  readJson(text);
  expect(performance.now() - started).toBeLessThan(1000);
});
