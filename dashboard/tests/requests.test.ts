import { expect, test } from "vitest";
import { difference } from "../src/components/forms/edited";
import { headersOf } from "../src/components/forms/headers";
import { hex } from "../src/components/text/body";
import { curl, quoted } from "../src/curl";
import { inProject, projectIn } from "../src/project";
import { asText, BLANK, base64, converted, jsonFault, requestText } from "../src/screens/messages/draft";
import { changed, draftOf, labelsOf, typedFields } from "../src/screens/queues/draft";

test("a body goes out as it was typed, and not as JavaScript understands it", () => {
  const body = '{"n": 12345678901234567890, "n": 1.0}';
  expect(requestText({ ...BLANK, body })).toBe(`{"body": ${body}}`);
});

test("text goes as bytes with its type, and what is left empty is left out", () => {
  const request = JSON.parse(
    requestText({ ...BLANK, kind: "text", body: "grüße", headers: "Source: shop: 1\n", delay: "5" }),
  );
  expect(request).toEqual({
    body_base64: base64(new TextEncoder().encode("grüße")),
    content_type: "text/plain; charset=utf-8",
    headers: { Source: "shop: 1" },
    delay: 5,
  });
});

test("a body stays the same, whatever it is written as", () => {
  const json = { ...BLANK, body: '{"a": "grüße"}' };
  const bytes = { ...json, ...converted(json, "base64") };
  expect(bytes.body).toBe(base64(new TextEncoder().encode(json.body)));
  expect(converted(bytes, "text")).toEqual({ kind: "text", body: json.body });
});

test("bytes are text only if they go out as the same bytes", () => {
  const encode = (text: string) => new TextEncoder().encode(text);
  for (const text of ["", "grüße\n\tÿ", "\ufeffmarked"]) expect(asText(encode(text))).toBe(text);
  for (const data of [Uint8Array.of(255), encode("a\0b"), encode("a\r\nb")]) expect(asText(data)).toBeNull();
});

test("a body that is no JSON is told before it is sent", () => {
  expect(jsonFault('{"order": 17}')).toBeNull();
  expect(jsonFault("{order: 17}")).toContain("This is not valid JSON");
});

test("a command can be pasted whatever is in it, and never holds the key", () => {
  expect(quoted("it's; $(rm -rf /)")).toBe(`'it'\\''s; $(rm -rf /)'`);
  expect(curl("POST", "/v1/queues/q/messages", "{}")).toBe(
    `curl http://127.0.0.1:8080/v1/queues/q/messages -H "Authorization: Bearer $KEY" \\\n  -d '{}'`,
  );
  expect(curl("DELETE", "/v1/receipts/r")).toContain("-X DELETE ");
});

test("a command does in the shell what the page does, in the same project", () => {
  const { pathname } = location;
  location.pathname = "/dashboard/project/shop/queues/q";
  expect(curl("GET", "/v1/queues")).toMatch(/-H "Restante-Project: shop"$/);
  location.pathname = pathname;
});

test("a path names a project only where it stands, and only one that can be", () => {
  expect(projectIn("/dashboard/project/shop-1.eu")).toBe("shop-1.eu");
  expect(projectIn("/dashboard/project/shop/queues/project")).toBe("shop");
  expect(projectIn("/dashboard/project/sh%6Fp%7Eeu/queues")).toBe("shop~eu");
  expect(projectIn("/dashboard/project/%ff/queues")).toBeNull();
  for (const path of [
    "/dashboard",
    "/dashboard/projects",
    "/dashboard/queues/project/shop",
    "/dashboard/project/a%0Ab",
  ])
    expect(projectIn(path)).toBeNull();
  expect(inProject("default", "/queues")).toBe("~/dashboard/queues");
  expect(inProject("shop", "/queues")).toBe("~/dashboard/project/shop/queues");
});

test("lines become labels and headers", () => {
  expect(labelsOf("team: payments\n\nurl: http://x:1\nbare")).toEqual({
    team: "payments",
    url: "http://x:1",
    bare: "",
  });
  expect(headersOf("a: 1\nb")).toEqual({ a: "1", b: "" });
});

type Queue = Parameters<typeof changed>[0];

const CONFIG = {
  type: "standard",
  visibility_timeout: 30,
  delay: 0,
  retention: null,
  max_message_bytes: 2000,
  max_length: null,
  deduplication_window: 300,
  deduplicate_by_content: false,
  dead_letter: { queue: "dead", max_receives: 3, expired: true },
  paused: true,
  labels: { team: "a: b" },
  expires_after: 3600,
} as const;

test("labels that were not typed stay as they are, whatever they are", () => {
  const labels = JSON.parse('{" k2 ": "v", "sp": " x ", "__proto__": "x"}');
  const queue = { ...CONFIG, name: "q", labels } as unknown as Queue;
  const written = JSON.stringify(labels);
  expect(JSON.stringify(changed(queue, { delay: "5" }).labels)).toBe(written);
  expect(JSON.stringify(labelsOf(draftOf(queue).labels))).toBe(written);
  const [change] = difference(changed(queue, {}), changed(queue, { labels: "sp: x" }));
  expect(change).toEqual(["labels", written, '{"sp":"x"}']);
});

test("a queue's configuration survives the form, and only what was changed is a change", () => {
  const queue = { ...CONFIG, name: "q", a_field_of_a_later_version: 7 } as unknown as Queue;
  const now = changed(queue, {});
  expect(now).toEqual({ ...CONFIG, a_field_of_a_later_version: 7 });
  expect(changed(queue, draftOf(queue))).toEqual(now);
  expect(difference(now, changed(queue, { delay: "5" }))).toEqual([["delay", "0", "5"]]);
});

test("of a new queue only what was typed is sent", () => {
  expect(typedFields(CONFIG, {})).toEqual({});
  expect(typedFields(CONFIG, { expires_after: "60", retention: "" })).toEqual({
    expires_after: 60,
    retention: null,
  });
  expect(typedFields(CONFIG, { max_receives: "7" })).toEqual({
    dead_letter: { ...CONFIG.dead_letter, max_receives: 7 },
  });
});

test("bytes are shown sixteen a line, with what is printable of them", () => {
  const data = Uint8Array.from({ length: 18 }, (_, n) => n + 60);
  expect(hex(data)).toBe(
    "00000000  3c 3d 3e 3f 40 41 42 43 44 45 46 47 48 49 4a 4b  <=>?@ABCDEFGHIJK\n" +
      `00000010  4c 4d${" ".repeat(42)}  LM`,
  );
});
