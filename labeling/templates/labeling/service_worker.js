/**
 * Stands in for a server that is away: gives the work page, its files, pictures and guideline as `held.js` put them
 * by. It never answers where the server does, and puts nothing by itself.
 */
const PATIENCE = 8000;
const STATIC = /^\/static\//;
const HELD = [
  STATIC,
  /^\/projects\/[^/]+\/work\/(\w+\/)?$/,
  /^\/projects\/[^/]+\/guideline\/\d+\/$/,
  /^\/projects\/[^/]+\/pictures\/\w+$/,
];

addEventListener("install", () => skipWaiting());
addEventListener("activate", (event) => event.waitUntil(clients.claim()));
addEventListener("fetch", (event) => {
  const { method, url } = event.request;
  const { origin, pathname } = new URL(url);
  if (method !== "GET" || origin !== location.origin || !HELD.some((path) => path.test(pathname))) return;
  event.respondWith(answer(event.request, pathname));
});

async function answer(request, pathname) {
  const held = await caches.match(request, { ignoreVary: true });
  if (!held) return fetch(request);
  try {
    const fresh = await Promise.race([fetch(request), patience()]);
    // After a new release the files of a page that was held are here alone.
    const gone = fresh.status === 404 && STATIC.test(pathname);
    return fresh.status >= 500 || gone ? held : fresh;
  } catch {
    return held;
  }
}

const patience = () => new Promise((_, refuse) => setTimeout(refuse, PATIENCE));
