import { keepPreviousData, useQuery } from "@tanstack/preact-query";
import { useId, useState } from "preact/hooks";
import { useLocation } from "wouter-preact";
import { useAccess } from "../access";
import { answer, api } from "../api/client";
import { Icon, type IconName } from "../components/controls/icon";
import { useDebounced } from "../components/forms/debounced";
import { useModal } from "../components/forms/dialog";
import { prefer, usePreferences } from "../preferences";
import { signOut } from "../session";
import { DESTINATIONS } from "./destinations";

interface Choice {
  name: string;
  kind: string;
  icon: IconName;
  run: () => void;
}

/** The command palette: type part of a name and press Enter. */
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
      // The focus returns before the key's default action, which would otherwise press the focused element.
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
        aria-label="Screen, name, message id or action"
        aria-expanded="true"
        aria-controls={list}
        aria-activedescendant={choices[chosen] ? `${list}-${chosen}` : undefined}
        placeholder="Screen, name, message id or action"
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
          // biome-ignore lint/a11y/useKeyWithClickEvents: the combobox handles the keys
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
        {choices.length === 0 && <p class="hint">No results.</p>}
      </div>
    </dialog>
  );
}

function useChoices(text: string): Choice[] {
  const [, navigate] = useLocation();
  const access = useAccess();
  const { clock } = usePreferences();
  const search = useDebounced(text);
  const named = useNamed(search, access.may("manage"));
  const message = useMessage(search.trim(), access.may("browse"));
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
  const found: Choice[] = (text ? (named ?? []) : []).map(({ name, kind, icon, path }) => ({
    name,
    kind,
    icon,
    run: () => navigate(path),
  }));
  const messages: Choice[] = (message && message.id === text.trim() ? [message] : []).map(
    ({ id, queue }) => ({
      name: id,
      kind: `Message of ${queue}`,
      icon: "send",
      run: () => navigate(`/queues/${queue}/messages/${id}`),
    }),
  );
  const wanted = text.toLowerCase();
  const fits = (choice: Choice) => choice.name.toLowerCase().includes(wanted);
  // The results may belong to an earlier input.
  return [...messages, ...[...screens, ...found, ...(text ? actions : [])].filter(fits)];
}

const LIMIT = 8;

/** Return the queues, topics and webhooks whose names contain the text. */
function useNamed(search: string, manages: boolean) {
  const params = { query: { search, limit: LIMIT } };
  const { data } = useQuery({
    queryKey: ["queues", "named", search, manages],
    queryFn: async () => {
      const [queues, topics, webhooks] = await Promise.all([
        answer(api.GET("/v1/queues", { params })),
        answer(api.GET("/v1/topics", { params })),
        manages ? answer(api.GET("/v1/webhooks", { params })) : { items: [] },
      ]);
      return [
        ...queues.items.map(({ name }) => named(name, "Queue", "queues", `/queues/${name}`)),
        ...topics.items.map(({ name }) => named(name, "Topic", "topics", `/topics/${name}`)),
        ...webhooks.items.map(({ name, queue }) =>
          named(name, `Webhook of ${queue}`, "webhooks", `/queues/${queue}/webhooks/${name}`),
        ),
      ];
    },
    placeholderData: keepPreviousData,
    enabled: search !== "",
    staleTime: 10_000,
  });
  return data;
}

function named(name: string, kind: string, icon: IconName, path: string) {
  return { name, kind, icon, path };
}

const isId = (text: string) => /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text);

/** Return the message with this id, if the text is an id and the message exists. */
function useMessage(id: string, browses: boolean) {
  const { data } = useQuery({
    queryKey: ["queues", "found", id],
    queryFn: () => answer(api.GET("/v1/messages/{message_id}", { params: { path: { message_id: id } } })),
    enabled: browses && isId(id),
  });
  return data;
}
