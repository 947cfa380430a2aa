/** What is around every screen: where to go, who one is, and whether the service answers. */

import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import { Link, useLocation } from "wouter-preact";
import { useAccess, useWhoami } from "../access";
import { useReachable } from "../api/reachable";
import { useStale } from "../api/stale";
import { IconButton } from "../components/button";
import { Icon } from "../components/icon";
import { useCurrentInSight } from "../components/page";
import { ProblemNote } from "../components/problem";
import { Loading } from "../components/states";
import { prefer, type Theme, usePreferences } from "../preferences";
import { signOut } from "../session";
import { DESTINATIONS, leadsTo } from "./destinations";
import { Help } from "./help";
import { Palette } from "./palette";
import { ProjectChoice, useProjectInUrl, WayOut } from "./project-choice";

export function Shell({ children }: { children: ComponentChildren }) {
  const [open, setOpen] = useState<"palette" | "help" | null>(null);
  const whoami = useWhoami();
  useShortcuts(setOpen);
  useProjectInUrl(whoami.data);
  return (
    <div class="shell">
      <a class="skip" href="#main">
        Skip to content
      </a>
      <TopBar onPalette={() => setOpen("palette")} onHelp={() => setOpen("help")} />
      <Navigation />
      <main id="main" tabIndex={-1}>
        <Away />
        {whoami.error && !whoami.data ? (
          <>
            <ProblemNote error={whoami.error} again={() => whoami.refetch()} />
            <WayOut error={whoami.error} />
          </>
        ) : (
          (whoami.data && children) || <Loading />
        )}
      </main>
      {open === "palette" && <Palette onClose={() => setOpen(null)} />}
      {open === "help" && <Help onClose={() => setOpen(null)} />}
    </div>
  );
}

/** Ctrl-K, `/` and `?`, unless one is writing. */
function useShortcuts(open: (what: "palette" | "help") => void): void {
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      if (event.key === "k" && (event.ctrlKey || event.metaKey)) {
        event.preventDefault();
        open("palette");
        return;
      }
      const writing =
        event.target instanceof Element && event.target.closest("input, textarea, select, dialog");
      if (writing || event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.key === "?") open("help");
      if (event.key === "/") {
        event.preventDefault();
        document.querySelector<HTMLInputElement>("[data-filter]")?.focus();
      }
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  }, [open]);
}

function TopBar({ onPalette, onHelp }: { onPalette: () => void; onHelp: () => void }) {
  return (
    <header class="topbar">
      <Link href="/" class="brand">
        <Mark />
        <span>Restante</span>
      </Link>
      <ProjectChoice />
      <button type="button" class="find" onClick={onPalette}>
        <Icon name="search" />
        <span>Go to …</span>
        <kbd>Ctrl K</kbd>
      </button>
      <ThemeButton />
      <IconButton label="Keyboard and help" icon="help" class="desk" onClick={onHelp} />
      <IconButton label="Sign out" icon="leave" onClick={() => signOut()} />
    </header>
  );
}

export function Mark() {
  return (
    <svg class="mark" viewBox="0 0 32 32" width="26" height="26" aria-hidden="true">
      <rect x="2" y="6" width="28" height="20" rx="4" />
      <path d="M7 11.5l9 6.5 9-6.5" />
    </svg>
  );
}

const THEMES: Record<Theme, { next: Theme; icon: "screen" | "sun" | "moon" }> = {
  system: { next: "light", icon: "screen" },
  light: { next: "dark", icon: "sun" },
  dark: { next: "system", icon: "moon" },
};

function ThemeButton() {
  const { theme } = usePreferences();
  const { next, icon } = THEMES[theme];
  return <IconButton label={`Theme: ${theme}`} icon={icon} onClick={() => prefer({ theme: next })} />;
}

function Navigation() {
  const access = useAccess();
  const [location] = useLocation();
  const list = useCurrentInSight<HTMLUListElement>(`${location} ${access.whoami?.project}`);
  return (
    <nav class="navigation" aria-label="Screens">
      <ul ref={list}>
        {DESTINATIONS.filter((destination) => destination.shown(access)).map(({ path, name, icon }) => (
          <li key={path}>
            <Link href={path} aria-current={leadsTo(path, location) ? "page" : undefined}>
              <Icon name={icon} />
              <span>{name}</span>
            </Link>
          </li>
        ))}
      </ul>
    </nav>
  );
}

function Away() {
  const reachable = useReachable();
  const stale = useStale();
  if (reachable) return stale && <ProblemNote error={stale} />;
  return (
    <p class="note away" role="status">
      <Icon name="warning" />
      <span>
        <strong>Restante does not answer.</strong> What you see is from before; it is asked again by itself.
      </span>
    </p>
  );
}
