/** Stubs for what modules need from a browser when they are loaded. Tests that need more use a real browser. */

const nothing = { getItem: () => null };
Object.assign(globalThis, {
  location: { origin: "http://127.0.0.1:8080", pathname: "/dashboard/queues" },
  sessionStorage: nothing,
  localStorage: nothing,
});
