/** A small line chart without axes, for the trend of a number. */
export function Sparkline({
  values,
  label,
  tone = "blue",
}: {
  values: readonly number[];
  label: string;
  tone?: string;
}) {
  if (values.length < 2) return <span class="faint">–</span>;
  const line = points(values, 96, 24);
  return (
    <svg class={`sparkline ${tone}`} viewBox="0 0 96 24" width="96" height="24" role="img" aria-label={label}>
      <path class="area" d={`M0 24L${line}L96 24Z`} />
      <path class="line" d={`M${line}`} />
    </svg>
  );
}

/** Return the points of a path for these values. Equal values are a flat line in the middle, zeros one at the bottom. */
export function points(values: readonly number[], width: number, height: number): string {
  const top = Math.max(...values, 0);
  const bottom = Math.min(...values, top);
  const range = top - bottom;
  const y = (value: number) => {
    if (top === 0) return height - 1;
    return range === 0 ? height / 2 : height - 1 - ((value - bottom) / range) * (height - 3);
  };
  const step = width / (values.length - 1);
  return values.map((value, index) => `${round(index * step)} ${round(y(value))}`).join("L");
}

const round = (value: number): number => Math.round(value * 10) / 10;
