export { numberOrNull, RateField, TaskForm } from "./form";
export { Tasks } from "./list";
