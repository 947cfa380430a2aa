/**
 * The project that one is in: a part of the URL, `/dashboard/project/NAME/...`, so that a view can be sent as a link.
 * `default` is left out.
 */

const PATH = /^\/dashboard\/project\/([A-Za-z0-9][A-Za-z0-9._~-]*)(?:\/|$)/;

/** Return the project that the page's path names; null where it names none. What is escaped means the same. */
export function projectIn(path: string): string | null {
  try {
    return PATH.exec(decodeURI(path))?.[1] ?? null;
  } catch {
    return null;
  }
}

/** Return what the paths in a project begin with, as the URL has it. */
export function projectBase(project: string | null): string {
  return project === null ? "/dashboard" : `/dashboard/project/${project}`;
}

/** Return a view of a project, as a link to it from whatever project one is in. */
export function inProject(project: string, view: string): string {
  return `~${projectBase(project === "default" ? null : project)}${view}`;
}
