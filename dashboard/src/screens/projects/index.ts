export { Projects } from "./list";
