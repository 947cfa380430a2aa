/** Whether the last request reached the service. */

import { cell } from "../cell";

const reachable = cell(true);

export const answered = (): void => reachable.set(true);
export const unanswered = (): void => reachable.set(false);
export const useReachable = reachable.use;
