/**
 * Forget what this browser keeps of a person: at sign-out everything; where somebody else has signed in, what
 * the first one's server copy makes good again. The work page keeps it, under `tutelage:<person>`.
 */
import { fill, gettext, ngettext } from "./words.js";

const KEPT = /^tutelage:(\d+):(.+)$/;

function names(ofUser) {
  try {
    return Object.keys(localStorage).filter((name) => ofUser(KEPT.exec(name)?.[1]));
  } catch {
    return [];
  }
}

/** Whether the server has it not: a label on its way, or a draft that was not saved there. */
function unsent(name) {
  const [, , what] = KEPT.exec(name);
  if (what.startsWith("outbox:")) return true;
  try {
    return what.startsWith("draft:") && JSON.parse(localStorage.getItem(name)).dirty;
  } catch {
    return false;
  }
}

const drop = (found) => found.forEach((name) => localStorage.removeItem(name));

async function dropCaches(keep) {
  if (!("caches" in window)) return;
  const held = (await caches.keys()).filter((name) => name.startsWith("tutelage:") && name !== keep);
  await Promise.all(held.map((name) => caches.delete(name)));
}

/** At sign-out: ask where work would be lost, clear, then let the form go. */
export async function signOut(event) {
  const { user } = document.body.dataset;
  if (!user) return;
  event.preventDefault();
  const kept = names((owner) => owner === user);
  const n = kept.filter(unsent).length;
  const question = ngettext(
    "%(n)s text or label has not reached the server yet. Sign out and lose it?",
    "%(n)s texts and labels have not reached the server yet. Sign out and lose them?",
    n,
  );
  if (n && !confirm(fill(question, { n }))) return;
  // The page must not put by anew what is cleared here.
  document.dispatchEvent(new Event("forget"));
  drop(kept);
  await dropCaches().catch(() => {});
  event.target.submit();
}

/** Of everybody else nothing stays but what only this browser has; that is told, and theirs to fetch. */
export function forgetOthers() {
  const { user } = document.body.dataset;
  if (!user) return;
  dropCaches(`tutelage:${user}`).catch(() => {});
  const others = names((owner) => owner && owner !== user);
  const waiting = others.filter(unsent);
  drop(others.filter((name) => !waiting.includes(name)));
  if (waiting.length) tell(waiting);
}

function tell(waiting) {
  const n = waiting.length;
  const text = ngettext(
    "%(n)s text or label of somebody else who worked in this browser has not reached the server. It waits until they sign in here again.",
    "%(n)s texts and labels of somebody else who worked in this browser have not reached the server. They wait until they sign in here again.",
    n,
  );
  const list = document.createElement("ul");
  list.className = "messages";
  list.setAttribute("role", "status");
  const item = document.createElement("li");
  item.className = "warning row";
  const clear = document.createElement("button");
  clear.type = "button";
  clear.className = "btn small danger push";
  clear.textContent = gettext("Clear them");
  clear.addEventListener("click", () => {
    if (!confirm(gettext("What was not sent is lost then. Clear it from this browser?"))) return;
    drop(waiting);
    list.remove();
  });
  item.append(fill(text, { n }), clear);
  list.append(item);
  document.querySelector("header.bar").after(list);
}
