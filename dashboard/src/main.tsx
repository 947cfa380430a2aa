import { render } from "preact";
import { App } from "./app";
import { applyTheme } from "./preferences";
import "./styles/index.css";

applyTheme();
const place = document.getElementById("app");
if (place) render(<App />, place);
