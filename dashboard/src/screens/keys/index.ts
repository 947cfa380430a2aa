export { Keys } from "./list";
