/**
 * The current project is part of the URL, `/dashboard/project/NAME/...`, so that a view can be shared as a link.
 * The project `default` is left out.
 */

const PATH = /^\/dashboard\/project\/([A-Za-z0-9][A-Za-z0-9._~-]*)(?:\/|$)/;

/** Return the project in the page's path, or null. Percent-encoded names are decoded. */
export function projectIn(path: string): string | null {
  try {
    return PATH.exec(decodeURI(path))?.[1] ?? null;
  } catch {
    return null;
  }
}

/** Return the base path of a project's views. */
export function projectBase(project: string | null): string {
  return project === null ? "/dashboard" : `/dashboard/project/${project}`;
}

/** Return a link to a view of a project that works from any project. */
export function inProject(project: string, view: string): string {
  return `~${projectBase(project === "default" ? null : project)}${view}`;
}
