export { MessageAttempts } from "./attempt";
export { QueueWebhooks, Webhooks } from "./list";
export { ResumeWebhook, StopReason, useWebhooks } from "./stopped";
export { WebhookScreen } from "./webhook";
