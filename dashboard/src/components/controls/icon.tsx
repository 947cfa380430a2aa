/** Line icons on a grid of 20, in the colour of the surrounding text. */

const PATHS = {
  overview: "M3 10.5 10 4l7 6.5M5 9v7h10V9",
  queues: "M3 5h14M3 10h14M3 15h9",
  dead: "M4 6.5h12l-1 10H5zM3 6.5h14M8 3.5h4M8.5 9.5v4M11.5 9.5v4",
  topics: "M4 10h5m0 0 4-5h3m-7 5 4 5h3m-7-5h7",
  webhooks: "M7.5 8.5 5 13a2.5 2.5 0 1 0 2.5 2h6M8 8a2.5 2.5 0 1 1 4-.5l2.5 4.5a2.5 2.5 0 1 1-1.5 4.5",
  tasks: "M4 5.5 5.5 7 8 4M4 11.5 5.5 13 8 10M11 6h6M11 12h6M4 17h13",
  keys: "M12.5 4a3.5 3.5 0 1 1-2.9 5.5L4 15v2h3v-2h2v-2l1.8-1.8M13 7.5h.01",
  projects: "M3 6h5l1.5 2H17v8H3zM3 6V4h5",
  playground: "m4 5 5 5-5 5M10 15h6",
  message: "M3 5h14v10H3zM3 6l7 5 7-5",
  search: "M8.5 3.5a5 5 0 1 1 0 10 5 5 0 0 1 0-10zM12.5 12.5 17 17",
  close: "M5 5l10 10M15 5 5 15",
  more: "M4.5 10h.01M10 10h.01M15.5 10h.01",
  copy: "M7 7V3.5h9.5V13H13M3.5 7H13v9.5H3.5z",
  done: "M4 10.5 8 15l8-10",
  pause: "M7 4.5v11M13 4.5v11",
  play: "M6 4.5v11l9-5.5z",
  plus: "M10 4v12M4 10h12",
  left: "M12 4.5 6.5 10l5.5 5.5",
  right: "M8 4.5l5.5 5.5L8 15.5",
  down: "M4.5 7.5 10 13l5.5-5.5",
  up: "M4.5 12.5 10 7l5.5 5.5",
  refresh: "M16 5v4h-4M4 15v-4h4M5 8a6 6 0 0 1 10-1.5L16 9M15 12a6 6 0 0 1-10 1.5L4 11",
  warning: "M10 3 18 16.5H2zM10 8v4M10 14.3h.01",
  leave: "M8 4H4v12h4M12 6.5l3.5 3.5L12 13.5M15.5 10H8",
  sun: "M10 6.5a3.5 3.5 0 1 1 0 7 3.5 3.5 0 0 1 0-7zM10 2v1.5M10 16.5V18M2 10h1.5M16.5 10H18M4.4 4.4l1 1M14.6 14.6l1 1M4.4 15.6l1-1M14.6 5.4l1-1",
  moon: "M16 11.5A6.5 6.5 0 0 1 8.5 4 6.5 6.5 0 1 0 16 11.5z",
  screen: "M3 4.5h14v9H3zM7 16.5h6",
  menu: "M3 5.5h14M3 10h14M3 14.5h14",
  send: "M3 10 17 4l-5 13-2.5-5.5z",
  help: "M7.5 7.5a2.5 2.5 0 1 1 3.6 2.2c-.8.4-1.1.9-1.1 1.8M10 14.5h.01M10 2.5a7.5 7.5 0 1 1 0 15 7.5 7.5 0 0 1 0-15z",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 20 20" width="18" height="18" aria-hidden="true" focusable="false">
      <path d={PATHS[name]} />
    </svg>
  );
}
