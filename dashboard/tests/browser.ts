/** The little of a browser that modules ask for as they are loaded; what needs more is tested in a real one. */

const nothing = { getItem: () => null };
Object.assign(globalThis, {
  location: { origin: "http://127.0.0.1:8080", pathname: "/dashboard/queues" },
  sessionStorage: nothing,
  localStorage: nothing,
});
