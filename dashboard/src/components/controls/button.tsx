import type { ComponentChildren, JSX } from "preact";
import { Icon, type IconName } from "./icon";

interface Props extends Omit<JSX.ButtonHTMLAttributes<HTMLButtonElement>, "icon"> {
  kind?: "primary" | "danger" | "quiet" | "plain";
  icon?: IconName;
  /** An action is in progress, so the button is disabled. */
  busy?: boolean;
  children?: ComponentChildren;
}

export function Button({ kind = "plain", icon, busy = false, children, type = "button", ...rest }: Props) {
  return (
    <button {...rest} type={type} class={`button ${kind}`} aria-busy={busy} disabled={rest.disabled || busy}>
      {icon && <Icon name={icon} />}
      {children !== undefined && <span>{children}</span>}
    </button>
  );
}

/** A button with only an icon. The label is read by screen readers and shown as a tooltip. */
export function IconButton({ label, ...rest }: Props & { label: string; icon: IconName }) {
  return <Button kind="quiet" {...rest} aria-label={label} title={label} />;
}
