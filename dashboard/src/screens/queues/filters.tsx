import { Icon } from "../../components/controls/icon";
import { FilterInput } from "../../components/forms/filter-input";

export interface Wanted {
  search: string;
  label: string;
  dead: boolean;
}

export function Filters({
  search,
  label,
  dead,
  set,
}: Wanted & { set: (changes: { search?: string; label?: string; dead_letters?: string }) => void }) {
  return (
    <div class="toolbar">
      <div class="filter">
        <Icon name="search" />
        <FilterInput
          type="search"
          data-filter
          aria-label="Filter by name"
          placeholder="Filter by name"
          value={search}
          commit={(wanted) => set({ search: wanted })}
        />
        <kbd>/</kbd>
      </div>
      {label && (
        <Chip text={label} hint={`Remove the label filter ${label}`} remove={() => set({ label: "" })} />
      )}
      {dead && (
        <Chip text="dead-letter queues" hint="Show all queues" remove={() => set({ dead_letters: "" })} />
      )}
    </div>
  );
}

/** An active filter. Pressing it removes it. */
function Chip({ text, hint, remove }: { text: string; hint: string; remove: () => void }) {
  return (
    <button type="button" class="chip" aria-label={hint} onClick={remove}>
      <span class="clip">{text}</span> <Icon name="close" />
    </button>
  );
}
