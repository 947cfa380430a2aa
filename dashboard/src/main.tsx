import "./styles/index.css";
import { render } from "preact";
import { App } from "./app";
import { comeBack } from "./components/page/place";
import { applyTheme } from "./preferences";

// Browsers report an invalid field only if it can take the focus, so open the <details> around it. Does not bubble.
addEventListener("invalid", ({ target }) => target instanceof Element && openAround(target), true);

function openAround(element: Element): void {
  for (let box = element.closest("details"); box; box = box.parentElement?.closest("details") ?? null)
    box.open = true;
}

addEventListener("popstate", comeBack);
applyTheme();
const place = document.getElementById("app");
if (place) render(<App />, place);
