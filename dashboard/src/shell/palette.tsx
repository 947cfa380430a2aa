import { keepPreviousData, useQuery } from "@tanstack/preact-query";
import { useId, useState } from "preact/hooks";
import { useLocation } from "wouter-preact";
import { useAccess } from "../access";
import { answer, api } from "../api/client";
import { useDebounced } from "../components/debounced";
import { useModal } from "../components/dialog";
import { Icon, type IconName } from "../components/icon";
import { prefer, usePreferences } from "../preferences";
import { signOut } from "../session";
import { DESTINATIONS } from "./destinations";

interface Choice {
  name: string;
  kind: string;
  icon: IconName;
  run: () => void;
}

/** Type a part of a name, press Enter. */
export function Palette({ onClose }: { onClose: () => void }) {
  const dialog = useModal(onClose);
  const [text, setText] = useState("");
  const [at, setAt] = useState(0);
  const list = useId();
  const choices = useChoices(text);
  const chosen = Math.min(at, choices.length - 1);
  const take = (choice: Choice | undefined) => {
    if (!choice) return;
    onClose();
    choice.run();
  };
  const press = (event: KeyboardEvent) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step !== undefined) {
      event.preventDefault();
      setAt((chosen + step + choices.length) % Math.max(1, choices.length));
    }
    if (event.key === "Enter") {
      // The focus goes back before the key's own effect, which would press what had it.
      event.preventDefault();
      take(choices[chosen]);
    }
  };
  return (
    <dialog
      ref={dialog}
      class="palette"
      aria-label="Go to"
      onMouseDown={(event) => event.target === dialog.current && onClose()}
    >
      <input
        type="text"
        role="combobox"
        aria-label="Screen, queue or action"
        aria-expanded="true"
        aria-controls={list}
        aria-activedescendant={choices[chosen] ? `${list}-${chosen}` : undefined}
        placeholder="Screen, queue or action"
        value={text}
        autocomplete="off"
        spellcheck={false}
        onInput={(event) => {
          setText(event.currentTarget.value);
          setAt(0);
        }}
        onKeyDown={press}
      />
      <div id={list} role="listbox" aria-label="Choices" class="choices">
        {choices.map((choice, index) => (
          // biome-ignore lint/a11y/useKeyWithClickEvents: the keys are the combobox's
          <div
            key={`${choice.kind} ${choice.name}`}
            id={`${list}-${index}`}
            role="option"
            tabIndex={-1}
            aria-selected={index === chosen}
            onMouseMove={() => setAt(index)}
            onClick={() => take(choice)}
          >
            <Icon name={choice.icon} />
            <span class="clip">{choice.name}</span>
            <span class="faint">{choice.kind}</span>
          </div>
        ))}
        {choices.length === 0 && <p class="hint">Nothing has this name.</p>}
      </div>
    </dialog>
  );
}

function useChoices(text: string): Choice[] {
  const [, navigate] = useLocation();
  const access = useAccess();
  const { clock } = usePreferences();
  const search = useDebounced(text);
  const queues = useQuery({
    queryKey: ["queues", "named", search],
    queryFn: () => answer(api.GET("/v1/queues", { params: { query: { search, limit: 8 } } })),
    placeholderData: keepPreviousData,
    enabled: search !== "",
    staleTime: 10_000,
  });
  const screens: Choice[] = DESTINATIONS.filter((destination) => destination.shown(access)).map(
    (destination) => ({
      name: destination.name,
      kind: "Screen",
      icon: destination.icon,
      run: () => navigate(destination.path),
    }),
  );
  const actions: Choice[] = [
    ...(["light", "dark", "system"] as const).map((theme) => ({
      name: `Theme: ${theme}`,
      kind: "Action",
      icon: "sun" as const,
      run: () => prefer({ theme }),
    })),
    {
      name: clock === "utc" ? "Times: local" : "Times: UTC",
      kind: "Action",
      icon: "refresh",
      run: () => prefer({ clock: clock === "utc" ? "local" : "utc" }),
    },
    { name: "Sign out", kind: "Action", icon: "leave", run: () => signOut() },
  ];
  const found: Choice[] = (text ? (queues.data?.items ?? []) : []).map(({ name }) => ({
    name,
    kind: "Queue",
    icon: "queues",
    run: () => navigate(`/queues/${name}`),
  }));
  const wanted = text.toLowerCase();
  const named = (choice: Choice) => choice.name.toLowerCase().includes(wanted);
  // What was found may be for what was typed a moment ago.
  return [...screens.filter(named), ...found.filter(named), ...(text ? actions.filter(named) : [])];
}
