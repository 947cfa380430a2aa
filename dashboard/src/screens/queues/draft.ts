import type { Queue, QueueFields } from "../../api/schema";

/** A configuration in a form. All values are text, and an empty one means null. */
export interface Draft {
  type: "standard" | "fifo";
  visibility_timeout: string;
  delay: string;
  retention: string;
  max_message_bytes: string;
  max_length: string;
  deduplication_window: string;
  deduplicate_by_content: boolean;
  dead_letter_queue: string;
  max_receives: string;
  expired: boolean;
  labels: string;
  expires_after: string;
}

/** The whole configuration of a queue. */
export type Config = Required<QueueFields>;

export function draftOf(queue: Config): Draft {
  return {
    type: queue.type,
    visibility_timeout: String(queue.visibility_timeout),
    delay: String(queue.delay),
    retention: text(queue.retention),
    max_message_bytes: String(queue.max_message_bytes),
    max_length: text(queue.max_length),
    deduplication_window: String(queue.deduplication_window),
    deduplicate_by_content: queue.deduplicate_by_content,
    dead_letter_queue: queue.dead_letter?.queue ?? "",
    max_receives: String(queue.dead_letter?.max_receives ?? 5),
    expired: queue.dead_letter?.expired ?? false,
    labels: Object.entries(queue.labels)
      .map(([name, value]) => `${name}: ${value}`)
      .join("\n"),
    expires_after: text(queue.expires_after),
  };
}

const text = (value: number | null): string => (value === null ? "" : String(value));
const number = (value: string): number => (value.trim() === "" ? Number.NaN : Number(value));
const orNull = (value: string): number | null => (value.trim() === "" ? null : Number(value));

/** Return the configuration in a draft. Invalid numbers become NaN, which the service refuses with an explanation. */
function fieldsOf(draft: Draft): Omit<Config, "paused"> {
  return {
    type: draft.type,
    visibility_timeout: number(draft.visibility_timeout),
    delay: number(draft.delay),
    retention: orNull(draft.retention),
    max_message_bytes: number(draft.max_message_bytes),
    max_length: orNull(draft.max_length),
    deduplication_window: number(draft.deduplication_window),
    deduplicate_by_content: draft.deduplicate_by_content,
    dead_letter: draft.dead_letter_queue
      ? { queue: draft.dead_letter_queue, max_receives: number(draft.max_receives), expired: draft.expired }
      : null,
    labels: labelsOf(draft.labels),
    expires_after: orNull(draft.expires_after),
  };
}

const OF_DEAD_LETTER: readonly string[] = ["dead_letter_queue", "max_receives", "expired"];

/** Return only the edited fields. The service fills in the others. */
export function typedFields(config: Config, typed: Partial<Draft>): QueueFields {
  const names = Object.keys(typed).map((name) => (OF_DEAD_LETTER.includes(name) ? "dead_letter" : name));
  const fields = Object.entries(fieldsOf({ ...draftOf(config), ...typed }));
  return Object.fromEntries(fields.filter(([name]) => names.includes(name)));
}

/** Parse labels, one `name: value` per line. Spaces are kept, except the one after the colon. */
export function labelsOf(lines: string): Record<string, string> {
  const labels: Record<string, string> = Object.create(null);
  for (const line of lines.split("\n")) {
    if (line.trim() === "") continue;
    const [name = "", ...value] = line.split(":");
    labels[name] = value.join(":").replace(/^ /, "");
  }
  return labels;
}

/** Return the queue's configuration with the edited fields changed. */
export function changed(queue: Queue, typed: Partial<Draft>): QueueFields {
  const { name, created_at, updated_at, stats, ...config } = queue;
  return { ...config, ...typedFields(config, typed) };
}
