import { useEffect, useState } from "preact/hooks";
import { Button, IconButton } from "../controls/button";
import { Scroll } from "./scroll";

function useCopied(): [boolean, (text: string) => void] {
  const [copied, setCopied] = useState(false);
  useEffect(() => {
    if (!copied) return;
    const timer = setTimeout(() => setCopied(false), 1500);
    return () => clearTimeout(timer);
  }, [copied]);
  return [copied, (text) => void copy(text).then(() => setCopied(true))];
}

/** The clipboard API needs https or localhost, and permission. Otherwise fall back to execCommand. */
async function copy(text: string): Promise<void> {
  const written = await navigator.clipboard?.writeText(text).then(
    () => true,
    () => false,
  );
  if (written) return;
  const area = document.createElement("textarea");
  area.value = text;
  (document.querySelector("dialog[open]") ?? document.body).append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}

export function CopyButton({ text, label = "Copy" }: { text: string; label?: string }) {
  const [copied, run] = useCopied();
  return (
    <IconButton label={copied ? "Copied" : label} icon={copied ? "done" : "copy"} onClick={() => run(text)} />
  );
}

export function CopyTextButton({ text, children }: { text: () => string; children: string }) {
  const [copied, run] = useCopied();
  return (
    <Button icon={copied ? "done" : "copy"} onClick={() => run(text())}>
      {copied ? "Copied" : children}
    </Button>
  );
}

/** A command or secret in a box, with a button that copies it. */
export function CodeBox({ text, label = "Copy" }: { text: string; label?: string }) {
  return (
    <div class="codebox">
      <Scroll class="code">{text}</Scroll>
      <CopyButton text={text} label={label} />
    </div>
  );
}
