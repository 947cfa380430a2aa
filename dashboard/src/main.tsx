import { render } from "preact";
import { Router } from "wouter-preact";
import { App } from "./app";
import { applyTheme } from "./preferences";
import "./styles/index.css";

applyTheme();
const place = document.getElementById("app");
if (place) {
  render(
    <Router base="/dashboard">
      <App />
    </Router>,
    place,
  );
}
