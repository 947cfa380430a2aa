import { Dialog } from "../components/forms/dialog";
import { SelectField } from "../components/forms/field";
import { type Clock, prefer, type Theme, usePreferences } from "../preferences";

const KEYS = [
  ["Ctrl K", "Find a screen, queue, topic, webhook or message"],
  ["/", "Filter the list"],
  ["?", "Show this help"],
  ["Esc", "Close a dialog"],
  ["Tab, Enter, Space", "Use everything else without a mouse"],
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
              ["system", "Same as the system"],
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
          The dashboard does everything through the <a href="/docs">API</a>, with your key.
        </p>
      </div>
    </Dialog>
  );
}
