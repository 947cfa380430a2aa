export { ActOn } from "./act";
export { BLANK, fitting, isReady, jsonFault, type MessageDraft, requestText } from "./draft";
export { MessageFields } from "./fields";
export { Holder, KeyName, PROTOCOLS } from "./holder";
export { Messages } from "./list";
export { MessageScreen } from "./message";
export { SendDialog, sendText, useFifo } from "./send";
export { Reason, Remedy } from "./waiting";
