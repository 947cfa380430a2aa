import type { ComponentProps } from "preact";
import { useState } from "preact/hooks";
import type { Task } from "../../api/schema";
import { FormDialog } from "../../components/forms/dialog";
import { TextField } from "../../components/forms/field";
import { fieldProblem } from "../../components/states/problem";
import { duration } from "../../format";
import { TaskDialog } from "./progress";

type Props = Omit<ComponentProps<typeof FormDialog>, "run" | "stays"> & { begin: () => Promise<Task> };

/** A dialog with a form that starts a task, and then shows the task's progress. */
export function TaskForm({ begin, ...form }: Props) {
  const [task, setTask] = useState<string | null>(null);
  if (task !== null) return <TaskDialog title={form.title} id={task} onClose={form.onClose} />;
  return <FormDialog {...form} run={async () => setTask((await begin()).id)} stays />;
}

/** The rate of a redrive, with how long the redrive takes. */
export function RateField({
  rate,
  onRate,
  messages,
  error,
}: {
  rate: string;
  onRate: (rate: string) => void;
  messages: number | undefined;
  error: Error | null;
}) {
  const known = messages !== undefined && Number(rate) > 0;
  return (
    <TextField
      label="Messages per second"
      type="number"
      value={rate}
      onValue={onRate}
      error={fieldProblem(error, "/rate")}
      hint={known ? `Takes about ${duration(messages / Number(rate))}` : "Leave empty for full speed"}
    />
  );
}

/** Return the number in a field, or null if the field is empty. */
export function numberOrNull(text: string): number | null {
  return text.trim() ? Number(text) : null;
}
