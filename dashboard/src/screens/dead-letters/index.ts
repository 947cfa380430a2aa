export { DeadLetters } from "./dead-letters";
export { DeadLetterGroups } from "./groups";
export { DeadLetterList, TooSlow } from "./list";
