import { Dialog } from "../components/dialog";
import { SelectField } from "../components/field";
import { type Clock, prefer, type Theme, usePreferences } from "../preferences";

const KEYS = [
  ["Ctrl K", "Go to a screen or a queue"],
  ["/", "Filter the list"],
  ["?", "This help"],
  ["Esc", "Close a dialog"],
  ["Tab, Enter, Space", "Everything else: no mouse is needed"],
] as const;

export function Help({ onClose }: { onClose: () => void }) {
  const { theme, clock } = usePreferences();
  return (
    <Dialog title="Keyboard and preferences" onClose={onClose}>
      <div class="stack">
        <dl class="keys">
          {KEYS.map(([key, meaning]) => (
            <div key={key}>
              <dt>
                <kbd>{key}</kbd>
              </dt>
              <dd>{meaning}</dd>
            </div>
          ))}
        </dl>
        <div class="columns">
          <SelectField<Theme>
            label="Theme"
            value={theme}
            onValue={(value) => prefer({ theme: value })}
            options={[
              ["system", "As the system"],
              ["light", "Light"],
              ["dark", "Dark"],
            ]}
          />
          <SelectField<Clock>
            label="Times"
            value={clock}
            onValue={(value) => prefer({ clock: value })}
            options={[
              ["local", "Local"],
              ["utc", "UTC"],
            ]}
          />
        </div>
        <p class="hint">
          Everything here is done through the <a href="/docs">API</a>, with your key.
        </p>
      </div>
    </Dialog>
  );
}
