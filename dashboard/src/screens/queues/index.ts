export { Queues } from "./list";
export { QueueScreen } from "./queue";
