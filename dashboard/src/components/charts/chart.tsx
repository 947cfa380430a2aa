import "uplot/dist/uPlot.min.css";
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import { short } from "../../format";
import { usePreferences } from "../../preferences";

export interface Line {
  label: string;
  /** The name of a colour in the style sheet: blue, amber, … */
  tone: string;
  values: readonly (number | null)[];
  /** Formats a value for the legend. */
  write?: (value: number) => string;
}

interface Props {
  /** Seconds since 1970, one for each value. */
  times: readonly number[];
  lines: readonly Line[];
  height?: number;
  label: string;
  /** The shortest time range that is shown, in seconds up to the newest value. */
  span?: number;
}

/** A line chart over time, drawn by uPlot. The legend follows the pointer, and its entries toggle lines. */
export function Chart({ times, lines, height = 200, label, span = 0 }: Props) {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const { theme, clock } = usePreferences();
  const names = lines.map((line) => `${line.label}:${line.tone}`).join();
  // Create the plot. The effect below sets its values.
  // biome-ignore lint/correctness/useExhaustiveDependencies: created again for another line or theme, not for values
  useEffect(() => {
    const element = place.current;
    if (!element) return;
    const made = new uPlot(
      options(element, lines, height, clock === "utc"),
      [[], ...lines.map(() => [])],
      element,
    );
    plot.current = made;
    const watch = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height }));
    watch.observe(element);
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const repaint = () => made.redraw();
    dark.addEventListener("change", repaint);
    return () => {
      watch.disconnect();
      dark.removeEventListener("change", repaint);
      made.destroy();
      plot.current = null;
    };
  }, [names, height, theme, clock]);
  useEffect(() => {
    const [first, last] = [times[0], times.at(-1)];
    if (!plot.current || first === undefined || last === undefined) return;
    plot.current.setData([[...times], ...lines.map((line) => [...line.values])] as uPlot.AlignedData, false);
    plot.current.setScale("x", { min: Math.min(first, last - Math.max(span, 1)), max: last });
  });
  return <div ref={place} class="chart" role="img" aria-label={label} />;
}

function options(element: HTMLElement, lines: readonly Line[], height: number, utc: boolean): uPlot.Options {
  const colour = (name: string) => () => resolved(element, name);
  const axis = {
    stroke: colour("faint"),
    grid: { stroke: colour("line"), width: 1 },
    ticks: { show: false },
  };
  const font = "11px system-ui, sans-serif";
  return {
    width: element.clientWidth || 300,
    height,
    cursor: { y: false, drag: { x: false, y: false }, points: { size: 6 } },
    legend: { markers: { width: 0, fill: (_, index) => colour(lines[index - 1]?.tone ?? "faint")() } },
    scales: {
      y: { range: (_, low, high) => [Math.min(0, low ?? 0), Math.max(1, (high ?? 0) * 1.1)] },
    },
    ...(utc ? { tzDate: (at: number) => uPlot.tzDate(new Date(at * 1000), "UTC") } : {}),
    axes: [
      { ...axis, font, space: 70, size: 28, values: "{HH}:{mm}" },
      { ...axis, font, size: 46, values: (_, ticks) => ticks.map(tick) },
    ],
    series: [
      { label: "At", value: "{HH}:{mm}:{ss}" },
      ...lines.map((line) => ({
        label: line.label,
        stroke: colour(line.tone),
        width: 1.75,
        points: { show: false },
        value: (_: uPlot, value: number | null) => (value === null ? "–" : (line.write ?? short)(value)),
      })),
    ],
  };
}

function tick(value: number): string {
  return Number.isInteger(value) ? short(value) : value.toFixed(1);
}

/** Return a colour of the style sheet as resolved in the current theme, because a canvas cannot use CSS variables. */
function resolved(element: HTMLElement, name: string): string {
  element.style.color = `var(--${name})`;
  const { color } = getComputedStyle(element);
  element.style.color = "";
  return color;
}
