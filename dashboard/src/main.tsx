import { render } from "preact";
import { App } from "./app";
import { applyTheme } from "./preferences";
import "./styles/index.css";

// What a form refuses is shown by the browser only where it can have the focus, which nothing closed has. Does not bubble.
addEventListener("invalid", ({ target }) => target instanceof Element && openAround(target), true);

function openAround(element: Element): void {
  for (let box = element.closest("details"); box; box = box.parentElement?.closest("details") ?? null)
    box.open = true;
}

applyTheme();
const place = document.getElementById("app");
if (place) render(<App />, place);
