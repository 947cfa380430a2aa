import { Dialog, Done } from "../../components/forms/dialog";
import { CodeBox } from "../../components/text/copy";

export function Secret({ secret, onClose }: { secret: string; onClose: () => void }) {
  return (
    <Dialog title="Signing secret" onClose={onClose} kept>
      <div class="stack">
        <p>
          Copy it now: it is not shown again. Your receiver verifies signatures with it (Standard Webhooks).
        </p>
        <CodeBox text={secret} label="Copy the secret" />
        <Done onClose={onClose}>I have saved it</Done>
      </div>
    </Dialog>
  );
}
