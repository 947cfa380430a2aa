export { Playground } from "./playground";
