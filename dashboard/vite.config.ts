import { defineConfig } from "vite";

// The service that `npm run dev` talks to.
const service = process.env.RESTANTE_URL ?? "http://127.0.0.1:8080";

export default defineConfig({
  base: "/dashboard/",
  build: {
    outDir: "../service/dashboard",
    emptyOutDir: true,
    target: "es2022",
    // light-dark() and nesting as they are written.
    cssTarget: ["chrome123", "firefox120", "safari17.5"],
    // Scripts and styles are files: the Content-Security-Policy allows nothing inline.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: {
    host: "127.0.0.1",
    port: 8081,
    proxy: { "/v1": { target: service, ws: true }, "/healthz": service, "/readyz": service },
  },
});
