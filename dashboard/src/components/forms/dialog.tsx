import type { ComponentChildren, RefObject } from "preact";
import { useId, useLayoutEffect, useRef, useState } from "preact/hooks";
import { Button, IconButton } from "../controls/button";
import type { IconName } from "../controls/icon";
import { ProblemNote } from "../states/problem";
import { TextField } from "./field";

interface DialogProps {
  title: string;
  onClose: () => void;
  wide?: boolean;
}

interface WindowProps extends DialogProps {
  /** Close only with a button or Escape, not with a click outside, which would lose what was entered. */
  kept?: boolean;
  /** An action is in progress, and its result has to be shown. */
  busy?: boolean;
  children: ComponentChildren;
}

/** Return a ref for a native modal dialog. The browser keeps the focus inside and restores it afterwards. */
export function useModal(onClose: () => void, busy = false): RefObject<HTMLDialogElement> {
  const dialog = useRef<HTMLDialogElement>(null);
  const closing = useRef(onClose);
  // Browsers always close a dialog on the second Escape. While an action is in progress, it is opened again.
  closing.current = busy ? () => dialog.current?.open || dialog.current?.showModal() : onClose;
  // A layout effect runs before the next key event, so that keys typed right after a shortcut go to the dialog.
  useLayoutEffect(() => {
    const element = dialog.current;
    if (!element) return;
    const close = () => closing.current();
    // Close on Escape itself: the `close` event fires later, possibly after the next shortcut.
    const cancel = (event: Event) => {
      event.preventDefault();
      close();
    };
    element.addEventListener("cancel", cancel);
    element.addEventListener("close", close);
    element.showModal();
    // Otherwise the first button has the focus, and Enter would close the dialog.
    if (!element.querySelector("[autofocus]"))
      element.querySelector<HTMLElement>("form :is(input, select, textarea):enabled")?.focus();
    return () => {
      // Close it before it is removed, so that the browser restores the focus.
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

/** The footer of a dialog with nothing left to decide. */
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
  /** The label of the button. If `run` throws, the error is shown and the dialog stays open. */
  action: string;
  run: () => Promise<unknown>;
  ready?: boolean;
  danger?: boolean;
  icon?: IconName;
  /** Do not close the dialog after `run`, because the next step replaces it. */
  stays?: boolean;
  children: (error: Error | null) => ComponentChildren;
}

/** A dialog with a form and the action that it submits. */
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
  /** Says what will be done, to what and to how many. */
  children: ComponentChildren;
  action: string;
  /** The text that the user has to type to enable the button, for actions that cannot be undone. */
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
