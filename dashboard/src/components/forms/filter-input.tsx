import type { JSX } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";

interface Props extends Omit<JSX.InputHTMLAttributes<HTMLInputElement>, "value" | "label"> {
  /** Shown before the field. Without a label, pass an `aria-label`. */
  label?: string;
  /** The value in the URL. */
  value: string;
  commit: (value: string) => void;
  /** Convert a value to the text in the field, and back. Default: the text is the value. */
  show?: (value: string) => string;
  read?: (text: string) => string;
}

/**
 * A field of a filter that is kept in the URL. Typed text is committed after a short pause and is not changed until then.
 * A value from a link is shown, and stays in the URL as it is.
 */
export function FilterInput({ label, value, commit, show = same, read = trimmed, ...input }: Props) {
  const [typed, setTyped] = useState(() => show(value));
  // The value that this field committed last.
  const asked = useRef(value);
  // A link may contain a value that this field would write differently or cannot show.
  const touched = useRef(false);
  // biome-ignore lint/correctness/useExhaustiveDependencies: runs when the URL changes
  useEffect(() => {
    if (value === asked.current) return;
    asked.current = value;
    touched.current = false;
    setTyped(show(value));
  }, [value]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: runs when the user types
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
