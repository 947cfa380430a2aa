/** The frame around every screen: navigation, project, session and the state of the connection. */

import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import { Link, useLocation } from "wouter-preact";
import { useAccess, useWhoami } from "../access";
import { useReachable } from "../api/reachable";
import { useStale } from "../api/stale";
import { IconButton } from "../components/controls/button";
import { Icon } from "../components/controls/icon";
import { Mark } from "../components/page/mark";
import { useCurrentInSight } from "../components/page/tabs";
import { Loading } from "../components/states/loading";
import { ProblemNote } from "../components/states/problem";
import { prefer, type Theme, usePreferences } from "../preferences";
import { signOut } from "../session";
import { DESTINATIONS, isWithin } from "./destinations";
import { Help } from "./help";
import { Palette } from "./palette";
import { ExitLink, ProjectChoice, useProjectInUrl } from "./project-choice";

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
        <ConnectionNote />
        {whoami.error && !whoami.data ? (
          <>
            <ProblemNote error={whoami.error} again={() => whoami.refetch()} />
            <ExitLink error={whoami.error} />
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

/** Handle Ctrl-K, `/` and `?`; the latter two not while the user is typing. */
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
      <Link href="/" class="brand" aria-label="Restante">
        <Mark />
        <span>Restante</span>
      </Link>
      <ProjectChoice />
      <button type="button" class="find" title="Go to…" onClick={onPalette}>
        <Icon name="search" />
        <span>Go to…</span>
        <kbd>Ctrl K</kbd>
      </button>
      <ThemeButton />
      <IconButton label="Keyboard and help" icon="help" class="desk" onClick={onHelp} />
      <IconButton label="Sign out" icon="leave" onClick={() => signOut()} />
    </header>
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
            <Link href={path} aria-current={isWithin(path, location) ? "page" : undefined}>
              <Icon name={icon} />
              <span>{name}</span>
            </Link>
          </li>
        ))}
      </ul>
    </nav>
  );
}

function ConnectionNote() {
  const reachable = useReachable();
  const stale = useStale();
  if (reachable) return stale && <ProblemNote error={stale} />;
  return (
    <p class="note away" role="status">
      <Icon name="warning" />
      <span>
        <strong>Restante is not responding.</strong> You are seeing older data. The dashboard keeps trying.
      </span>
    </p>
  );
}
