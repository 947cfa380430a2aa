/** Where one can go, and who may. */

import type { Access } from "../access";
import type { IconName } from "../components/icon";

export interface Destination {
  path: string;
  name: string;
  icon: IconName;
  shown: (access: Access) => boolean;
}

const everybody = () => true;

export const DESTINATIONS: readonly Destination[] = [
  { path: "/", name: "Overview", icon: "overview", shown: everybody },
  { path: "/queues", name: "Queues", icon: "queues", shown: everybody },
  { path: "/dead-letters", name: "Dead letters", icon: "dead", shown: everybody },
  { path: "/topics", name: "Topics", icon: "topics", shown: everybody },
  {
    path: "/webhooks",
    name: "Webhooks",
    icon: "webhooks",
    shown: ({ may }) => may("manage"),
  },
  { path: "/tasks", name: "Tasks", icon: "tasks", shown: ({ may }) => may("manage") },
  {
    path: "/playground",
    name: "Playground",
    icon: "playground",
    shown: ({ may }) => may("send") || may("receive"),
  },
  { path: "/keys", name: "Keys", icon: "keys", shown: ({ may }) => may("admin") },
  { path: "/projects", name: "Projects", icon: "projects", shown: ({ operator }) => operator },
];

/** Whether a place belongs to a destination. */
export function leadsTo(path: string, place: string): boolean {
  return path === "/" ? place === "/" : `${place}/`.startsWith(`${path}/`);
}
