export { Overview } from "./overview";
