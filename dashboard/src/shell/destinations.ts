/** The screens in the navigation, and which keys see them. */

import type { Access } from "../access";
import type { IconName } from "../components/controls/icon";

export interface Destination {
  path: string;
  name: string;
  icon: IconName;
  shown: (access: Access) => boolean;
}

const always = () => true;

export const DESTINATIONS: readonly Destination[] = [
  { path: "/", name: "Overview", icon: "overview", shown: always },
  { path: "/queues", name: "Queues", icon: "queues", shown: always },
  { path: "/dead-letters", name: "Dead letters", icon: "dead", shown: always },
  { path: "/topics", name: "Topics", icon: "topics", shown: always },
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

/** Return whether a path belongs to a destination. */
export function isWithin(path: string, place: string): boolean {
  return path === "/" ? place === "/" : `${place}/`.startsWith(`${path}/`);
}
