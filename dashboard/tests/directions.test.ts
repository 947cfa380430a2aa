/** Which files may import which: screens and shell import components, components import api, never the other way. */

import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { expect, test } from "vitest";

const SOURCE = join(import.meta.dirname, "../src");

/** The folders that files of a folder must not import. `""` is src itself, with `json.ts` and `format.ts`. */
const ABOVE: Record<string, readonly string[]> = {
  "": ["components", "screens", "shell"],
  api: ["components", "screens", "shell"],
  components: ["screens", "shell"],
  screens: ["shell"],
  shell: ["screens"],
};
/** These files assemble the application and may import everything. */
const TOP = ["app.tsx", "main.tsx"];

const files = readdirSync(SOURCE, { recursive: true })
  .map(String)
  .filter((file) => /\.tsx?$/.test(file) && !TOP.includes(file));

const imports = files.flatMap((file) =>
  [...readFileSync(join(SOURCE, file), "utf-8").matchAll(/from "(\.[^"]+)"/g)].map(([, path = ""]) => ({
    file,
    target: relative(SOURCE, join(SOURCE, dirname(file), path)),
  })),
);

const folder = (path: string) => (path.includes("/") ? path.slice(0, path.indexOf("/")) : "");

/** Return the noun whose screens a file belongs to, or null. */
function noun(path: string): string | null {
  const [top, name = ""] = path.split("/");
  const isNoun = top === "screens" && existsSync(join(SOURCE, "screens", name, "index.ts"));
  return isNoun ? name : null;
}

test("screens and shell import components, components import api, and never the other way", () => {
  expect(imports.length).toBeGreaterThan(300);
  const upward = imports.filter(({ file, target }) => ABOVE[folder(file)]?.includes(folder(target)));
  expect(upward).toEqual([]);
});

test("of another noun's screens only what its index names is imported", () => {
  const inside = imports.filter(({ file, target }) => {
    const other = noun(target);
    return other !== null && other !== noun(file) && target !== `screens/${other}`;
  });
  expect(inside).toEqual([]);
});

test("nouns do not import each other in a circle", () => {
  const uses = new Map<string, Set<string>>();
  for (const { file, target } of imports) {
    const [from, to] = [noun(file), noun(target)];
    if (from && to && from !== to) uses.set(from, (uses.get(from) ?? new Set()).add(to));
  }
  const circle = (path: string[]): string[] | undefined => {
    const last = path.at(-1) ?? "";
    if (path.indexOf(last) < path.length - 1) return path;
    return [...(uses.get(last) ?? [])].map((next) => circle([...path, next])).find(Boolean);
  };
  expect([...uses.keys()].map((start) => circle([start])).find(Boolean)).toBeUndefined();
});

test("every noun's folder has an index, and no file is over 400 lines", () => {
  const nouns = readdirSync(join(SOURCE, "screens")).filter((name) =>
    statSync(join(SOURCE, "screens", name)).isDirectory(),
  );
  expect(nouns.filter((name) => noun(`screens/${name}`) === null)).toEqual([]);
  const long = readdirSync(SOURCE, { recursive: true })
    .map(String)
    .filter((file) => /\.(tsx?|css)$/.test(file) && !file.endsWith(".d.ts"))
    .filter((file) => readFileSync(join(SOURCE, file), "utf-8").split("\n").length > 401);
  expect(long).toEqual([]);
});
