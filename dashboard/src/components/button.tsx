import type { ComponentChildren, JSX } from "preact";
import { Icon, type IconName } from "./icon";

interface Props extends Omit<JSX.ButtonHTMLAttributes<HTMLButtonElement>, "icon"> {
  kind?: "primary" | "danger" | "quiet" | "plain";
  icon?: IconName;
  /** Something is under way: pressing again does nothing. */
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

/** A button that is only an icon; the label is what is read out and shown when pointed at. */
export function IconButton({ label, ...rest }: Props & { label: string; icon: IconName }) {
  return <Button kind="quiet" {...rest} aria-label={label} title={label} />;
}
