import type { JSX } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";

interface Props extends Omit<JSX.InputHTMLAttributes<HTMLInputElement>, "value" | "label"> {
  /** Written before the field; without one it has an `aria-label`. */
  label?: string;
  /** What the view's URL has. */
  value: string;
  commit: (value: string) => void;
  /** How the field shows a value, and what value it shows; left out: the text itself. */
  show?: (value: string) => string;
  read?: (text: string) => string;
}

/**
 * A field of a filter that is in the URL. What is typed is taken once nothing more is for a moment, and is not touched
 * meanwhile; what comes from a link is taken over, and stays in the URL as it is.
 */
export function FilterInput({ label, value, commit, show = same, read = trimmed, ...input }: Props) {
  const [typed, setTyped] = useState(() => show(value));
  // What this field has last asked for.
  const asked = useRef(value);
  // A link may have what this field would write in another way, or cannot show.
  const touched = useRef(false);
  // biome-ignore lint/correctness/useExhaustiveDependencies: when the URL has something else
  useEffect(() => {
    if (value === asked.current) return;
    asked.current = value;
    touched.current = false;
    setTyped(show(value));
  }, [value]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: when something was typed
  useEffect(() => {
    if (!touched.current || read(typed) === asked.current) return;
    const timer = setTimeout(() => {
      asked.current = read(typed);
      commit(asked.current);
    }, 150);
    return () => clearTimeout(timer);
  }, [typed]);
  const id = useId();
  const field = (
    <input
      id={id}
      autocomplete="off"
      spellcheck={false}
      {...input}
      value={typed}
      onInput={(event) => {
        touched.current = true;
        setTyped(event.currentTarget.value);
      }}
    />
  );
  if (!label) return field;
  return (
    <div class="inline">
      <label for={id}>{label}</label>
      {field}
    </div>
  );
}

const same = (value: string) => value;
const trimmed = (text: string) => text.trim();
