/**
 * What this browser holds of the work page for one person, so that it opens while the server is away: the page
 * and the files it loaded (`service_worker.js` gives them then), the guideline, and the tasks in hand.
 * `forget.js` clears it at sign-out. Texts and labels lie in `kept.js`.
 */
import { uuid } from "./kept.js";

/** Where the files of this release lie: `/static/<release>/`. */
const RELEASE = new URL("..", import.meta.url).pathname;
const TABS = 5;

/** What this page loaded of them so far; the browser's own list ends after a few hundred requests. */
const files = new Set();
const note = (entries) => {
  for (const { name } of entries) if (new URL(name).pathname.startsWith(RELEASE)) files.add(name);
};
const loads = new PerformanceObserver((list) => note(list.getEntries()));
loads.observe({ type: "resource", buffered: true });

/** Browsers lend service workers and caches to HTTPS and to this computer alone. */
export const possible = isSecureContext && "serviceWorker" in navigator && "caches" in window;

export class Held {
  constructor({ user, project, kinds }) {
    this.name = `tutelage:${user}`;
    this.guideline = `/projects/${project}/guideline/`;
    this.tasksPath = `/held/${project}/${kinds.join("+")}/`;
    document.addEventListener("forget", () => (this.closed = true));
  }

  /** Put the page by; resolves to whether it is held now. */
  async keepPage() {
    if (!possible) return false;
    if (document.readyState !== "complete") await new Promise((loaded) => addEventListener("load", loaded));
    try {
      await navigator.serviceWorker.register("/sw.js", { scope: "/projects/", updateViaCache: "none" });
      await navigator.serviceWorker.ready;
      const page = await fetch(location.pathname + location.search, { cache: "no-store" });
      // Signed out by now, or of a release whose files this page has not seen.
      if (!page.ok || page.redirected || !(await page.clone().text()).includes(RELEASE)) return false;
      const cache = await this.open();
      await addFiles(cache);
      await cache.put(location.pathname + location.search, page);
      await dropOthers(cache);
      return true;
    } catch {
      return false;
    }
  }

  /** Hold these tasks, the one on screen first, after the files of their kinds, and their guidelines. */
  async keepTasks(tasks) {
    if (!possible) return;
    const own = this.tasksPath + tab();
    try {
      const cache = await this.open();
      await addFiles(cache);
      await cache.put(own, Response.json({ at: Date.now(), tasks }));
      for (const { request } of (await this.tabs(cache)).slice(TABS)) await cache.delete(request);
      const numbers = new Set(tasks.map((task) => task.guideline_version.number));
      await addMissing(cache, [...numbers].map((number) => `${this.guideline}${number}/`));
      await keepPictures(cache);
    } catch {
      // Not held, then; the server has them.
    }
  }

  /** The tasks that this tab held last, else those of the tab that held any last. */
  async tasks() {
    if (!possible) return [];
    try {
      const tabs = await this.tabs(await this.open());
      const own = tabs.find(({ request }) => request.url.endsWith(tab()));
      return (own ?? tabs[0])?.tasks ?? [];
    } catch {
      return [];
    }
  }

  async open() {
    if (this.closed) throw new Error("signed out");
    return caches.open(this.name);
  }

  async tabs(cache) {
    const start = new URL(this.tasksPath, location).pathname;
    const requests = (await cache.keys()).filter(({ url }) => new URL(url).pathname.startsWith(start));
    const entry = async (request) => ({ request, ...(await (await cache.match(request)).json()) });
    return (await Promise.all(requests.map(entry))).sort((one, other) => other.at - one.at);
  }
}

/** Hold the pictures of the tasks that are held, and no others. */
async function keepPictures(cache) {
  const requests = await cache.keys();
  const starting = (start) => requests.filter(({ url }) => start.test(new URL(url).pathname));
  const entries = starting(/^\/held\//).map(async (request) => (await cache.match(request)).json());
  const wanted = (await Promise.all(entries)).flatMap(({ tasks }) => tasks).flatMap((task) => task.pictures ?? []);
  for (const request of starting(/^\/projects\/[^/]+\/pictures\//)) {
    if (!wanted.includes(new URL(request.url).pathname)) await cache.delete(request);
  }
  await addMissing(cache, [...new Set(wanted)]);
}

async function addFiles(cache) {
  note(loads.takeRecords());
  await addMissing(cache, [...files]);
}

async function addMissing(cache, addresses) {
  const there = await Promise.all(addresses.map((address) => cache.match(address, { ignoreVary: true })));
  await cache.addAll(addresses.filter((_, at) => !there[at]));
}

/** Files of other releases go, and with them the pages that need those. */
async function dropOthers(cache) {
  for (const request of await cache.keys()) {
    const { pathname } = new URL(request.url);
    const file = pathname.startsWith("/static/") && !pathname.startsWith(RELEASE);
    const page = /^\/projects\/[^/]+\/work\//.test(pathname);
    if (file || (page && !(await (await cache.match(request)).text()).includes(RELEASE))) await cache.delete(request);
  }
}

/** This tab's name; it outlives a reload. */
function tab() {
  let name = sessionStorage.getItem("tutelage:tab");
  if (!name) sessionStorage.setItem("tutelage:tab", (name = uuid()));
  return name;
}
