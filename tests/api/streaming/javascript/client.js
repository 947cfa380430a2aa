// A consumer as its authors would write it. It tells what happens to it, a JSON line each, and does what it is told.
import { createInterface } from "node:readline";
import { io } from "socket.io-client";

const [url, key] = process.argv.slice(2);
const say = (...words) => console.log(JSON.stringify(words));
const socket = io(url, {
  auth: { key },
  transports: ["websocket"],
  reconnectionDelay: 100,
  reconnectionDelayMax: 200,
});

process.on("uncaughtException", (error) => say("threw", error.message));

socket.on("connect", async () => {
  const answer = await socket.emitWithAck("subscribe", { queue: "q", credit: 5 });
  say("subscribed", answer.status);
});
socket.on("connect_error", (error) => say("refused", error.message));
socket.on("disconnect", () => say("disconnected"));
socket.on("message", (message, acknowledge) => {
  say("message", message.body);
  if (message.body === "throw" && message.receive_count === 1) throw new Error("thrown");
  acknowledge(message.body === "refuse" && message.receive_count === 1 ? "refused" : undefined);
});

createInterface({ input: process.stdin }).on("line", (line) => {
  if (line === "leave") socket.disconnect();
  else if (line === "return") socket.connect();
  else if (line === "break") socket.io.engine.close();
  else process.exit();
});
