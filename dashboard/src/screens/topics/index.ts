export { Topics } from "./list";
export { subscriptionsFrom } from "./subscription-text";
export { TopicScreen } from "./topic";
