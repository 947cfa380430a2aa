import type { ComponentChildren, RefObject } from "preact";
import { useId, useLayoutEffect, useRef, useState } from "preact/hooks";
import { Button, IconButton } from "./button";
import { TextField } from "./field";
import type { IconName } from "./icon";
import { ProblemNote } from "./problem";

interface DialogProps {
  title: string;
  onClose: () => void;
  wide?: boolean;
}

interface WindowProps extends DialogProps {
  /** What it holds would be lost: it closes by its buttons and by Escape, not by a click beside it. */
  kept?: boolean;
  /** Something is under way whose answer is to be seen. */
  busy?: boolean;
  children: ComponentChildren;
}

/** A native modal dialog: the browser keeps the focus in it, and gives it back. */
export function useModal(onClose: () => void, busy = false): RefObject<HTMLDialogElement> {
  const dialog = useRef<HTMLDialogElement>(null);
  const closing = useRef(onClose);
  // A browser lets nobody keep a dialog open at the second Escape; what is under way is to be seen all the same.
  closing.current = busy ? () => dialog.current?.open || dialog.current?.showModal() : onClose;
  // Before the page is drawn, and so before the next key: what is typed on after a shortcut belongs to the dialog.
  useLayoutEffect(() => {
    const element = dialog.current;
    if (!element) return;
    const close = () => closing.current();
    // At Escape itself: `close` comes a while after it, and the next shortcut might come before.
    const cancel = (event: Event) => {
      event.preventDefault();
      close();
    };
    element.addEventListener("cancel", cancel);
    element.addEventListener("close", close);
    element.showModal();
    // Else its first button has it: Enter would close what one has just opened.
    if (!element.querySelector("[autofocus]"))
      element.querySelector<HTMLElement>("form :is(input, select, textarea):enabled")?.focus();
    return () => {
      // Closed and not only taken away, so that the focus goes back to where it was.
      element.removeEventListener("cancel", cancel);
      element.removeEventListener("close", close);
      element.close();
    };
  }, []);
  return dialog;
}

export function Dialog({ title, onClose, children, wide = false, kept = false, busy = false }: WindowProps) {
  const dialog = useModal(onClose, busy);
  const label = useId();
  return (
    <dialog
      ref={dialog}
      class={wide ? "dialog wide" : "dialog"}
      aria-labelledby={label}
      onMouseDown={(event) => {
        if (event.target === dialog.current && !kept) onClose();
      }}
    >
      <div class="dialog-body">
        <header class="dialog-head">
          <h2 id={label}>{title}</h2>
          <IconButton label="Close" icon="close" disabled={busy} onClick={onClose} />
        </header>
        {children}
      </div>
    </dialog>
  );
}

/** The end of a dialog in which nothing is left to decide. */
export function Done({ children = "Close", onClose }: { children?: string; onClose: () => void }) {
  return (
    <footer class="actions">
      <Button kind="primary" onClick={onClose}>
        {children}
      </Button>
    </footer>
  );
}

interface FormProps extends DialogProps {
  /** What the button says, and what it does; a problem that it raises is shown, and the dialog stays. */
  action: string;
  run: () => Promise<unknown>;
  ready?: boolean;
  danger?: boolean;
  icon?: IconName;
  /** What follows replaces this dialog: it is not closed when it is done. */
  stays?: boolean;
  children: (error: Error | null) => ComponentChildren;
}

/** A dialog that asks for something and then does it. */
export function FormDialog({
  action,
  run,
  ready = true,
  danger = false,
  icon,
  stays = false,
  children,
  ...dialog
}: FormProps) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<Error | null>(null);
  const submit = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    setError(null);
    try {
      await run();
      if (!stays) dialog.onClose();
    } catch (raised) {
      setError(raised as Error);
      setBusy(false);
    }
  };
  return (
    <Dialog {...dialog} kept busy={busy}>
      <form class="stack" onSubmit={submit}>
        {children(error)}
        {error && <ProblemNote error={error} />}
        <footer class="actions">
          <Button disabled={busy} onClick={dialog.onClose}>
            Cancel
          </Button>
          <Button
            type="submit"
            kind={danger ? "danger" : "primary"}
            busy={busy}
            disabled={!ready}
            {...(icon && { icon })}
          >
            {action}
          </Button>
        </footer>
      </form>
    </Dialog>
  );
}

interface ConfirmProps {
  title: string;
  /** What will be done, to what and to how many. */
  children: ComponentChildren;
  action: string;
  /** To be typed before the button works: for what cannot be undone. */
  typed?: string;
  run: () => Promise<unknown>;
  onClose: () => void;
}

export function Confirm({ children, typed, ...form }: ConfirmProps) {
  const [entered, setEntered] = useState("");
  return (
    <FormDialog {...form} danger ready={typed === undefined || entered === typed}>
      {() => (
        <>
          <div class="prose">{children}</div>
          {typed !== undefined && (
            <TextField label={`Type ${typed} to confirm`} mono value={entered} onValue={setEntered} />
          )}
        </>
      )}
    </FormDialog>
  );
}
