/** What surrounds the task: stages of the page, notices, dialogs, the toast, and what is said aloud. */
import { fragment } from "../js/api.js";
import { fill, gettext } from "../js/words.js";
import { typing } from "./keys.js";

const byId = (id) => document.getElementById(id);

export class Panels {
  constructor(work) {
    this.work = work;
    this.guidelines = new Map();
    byId("review-comment")?.addEventListener("input", ({ target }) => {
      if (work.view) work.view.comment = target.value;
    });
    byId("keys-on").checked = work.keys.on;
    work.outbox.addEventListener("change", () => this.paintToast(work.outbox));
    byId("keys-on").addEventListener("change", ({ target }) => this.switchKeys(target));
  }

  async switchKeys({ checked }) {
    const kept = await this.work.keys.switch(checked);
    if (!kept) this.notice(gettext("The server does not answer: this holds for as long as the page is open."));
  }

  /** Show one stage: "loading", "task" (with its element), "nothing", or "away" (with the problem). */
  stage(name, what) {
    for (const part of document.querySelectorAll("[data-stage]")) part.hidden = part.dataset.stage !== name;
    document.querySelector(".foot").hidden = name !== "task";
    if (name === "task") {
      document.querySelector("[data-stage=task]").replaceChildren(what);
      this.progress(what);
    } else {
      document.querySelector("[data-effort]").textContent = "";
    }
    if (name === "away") byId("away-why").textContent = what?.message ?? "";
    if (name === "nothing") this.notice(null);
  }

  /** After a task came: read from its beginning. */
  arrived(task, revising) {
    const { view } = this.work;
    document.body.dataset.kind = task.kind;
    this.ownKeys(view);
    this.guidelineTag(task);
    byId("submit-words").textContent = revising ? gettext("Send revision") : gettext("Submit");
    scrollTo({ top: 0, behavior: "instant" });
    this.work.main.focus({ preventScroll: true });
    view.begin?.();
    const undo = this.work.keys.label("u");
    const escape = typing(document.activeElement) ? "Esc " : "";
    byId("undo-key").textContent = escape + undo;
    for (const button of document.querySelectorAll("[data-offer]")) {
      button.querySelector("kbd").textContent = escape + this.work.keys.label(button.dataset.offer);
    }
    this.say(revising ? gettext("Your label is open again. Send it once more when it is right.") : view.hint);
    this.refreshLeft();
  }

  /** What this kind of task can do, and by which keys. */
  ownKeys(view) {
    byId("own-keys").replaceChildren(byId(`${view.localName}-keys`).content.cloneNode(true));
    document.querySelector(".foot [data-do=undo]").hidden = !view.undo;
    document.querySelector(".foot [data-do=review]").hidden = !view.review;
  }

  guidelineTag(task) {
    const text = fill(gettext("version %(n)s"), { n: task.guideline_version.number });
    byId("guideline-words").textContent = text;
  }

  progress(view) {
    const lack = view.lack;
    const button = document.querySelector("[data-do=submit]");
    button.setAttribute("aria-disabled", String(Boolean(lack)));
    button.title = lack ?? "";
    byId("lack").textContent = lack ?? "";
  }

  effort(text) {
    document.querySelector("[data-effort]").textContent = text;
  }

  /** What happens together asks once. */
  refreshLeft() {
    this.leftTimer ??= setTimeout(() => this.fetchLeft(), 300);
  }

  async fetchLeft() {
    this.leftTimer = null;
    const left = document.querySelector("[data-left]");
    try {
      const text = (await fragment(left.dataset.left)).trim();
      if (left.textContent !== text) left.textContent = text;
    } catch {
      // An old number is better than none.
    }
  }

  say(text) {
    const line = byId("say");
    // The same words twice are spoken twice only if the line was empty in between.
    line.textContent = "";
    setTimeout(() => (line.textContent = text), 30);
  }

  notice(text, { revising = false } = {}) {
    const box = byId("notice");
    box.hidden = !text && !revising;
    box.querySelector("p").textContent = revising
      ? gettext("You are changing a label that you sent. The first one stays in the record; this one takes its place.")
      : (text ?? "");
    box.querySelector("[data-do=leave]").hidden = !revising;
    if (text) this.say(text);
  }

  lacking(view) {
    byId("review").close();
    view.pointOut();
    this.say(view.lack);
    byId("lack").classList.remove("blink");
    requestAnimationFrame(() => byId("lack").classList.add("blink"));
  }

  open(id) {
    const dialog = byId(id);
    if (dialog.open) dialog.close();
    else dialog.showModal();
  }

  closeAll() {
    for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
  }

  review(view) {
    byId("review-title").textContent = view.heading;
    byId("review-what").replaceChildren(view.review());
    byId("review-comment").value = view.comment;
    this.open("review");
    // Read from the beginning; what sends it stays in sight below.
    byId("review").scrollTop = 0;
    document.querySelector("#review [data-do=submit]").focus({ preventScroll: true });
  }

  get reviewing() {
    return byId("review").open;
  }

  askSkip() {
    byId("skip-reason").value = "";
    for (const chip of document.querySelectorAll("[name=skip-why]")) chip.checked = false;
    this.open("skip");
    document.querySelector("#skip [data-do=skip-now]").focus();
  }

  get skipReason() {
    byId("skip").close();
    const chosen = [...document.querySelectorAll("[name=skip-why]:checked")].map(({ value }) => value);
    return [chosen.join(", "), byId("skip-reason").value.trim()].filter(Boolean).join(": ");
  }

  /** The guideline at the very version of the task; each version is fetched once. */
  async guideline(task) {
    if (!task) return;
    this.open("guideline");
    const { number } = task.guideline_version;
    const body = byId("guideline-body");
    if (!this.guidelines.has(number)) {
      body.textContent = gettext("Fetching the guideline…");
      try {
        const path = `/projects/${this.work.project}/guideline/${number}/`;
        this.guidelines.set(number, await fragment(path));
      } catch (problem) {
        body.textContent = problem.message;
        return;
      }
    }
    body.innerHTML = this.guidelines.get(number);
  }

  /** Where the label just submitted is, for as long as it can be undone, and what may follow it. */
  sentToast(undoable, milliseconds) {
    const toast = byId("toast");
    toast.hidden = false;
    toast.querySelector("button").hidden = !undoable;
    for (const button of toast.querySelectorAll("[data-offer]")) {
      button.hidden = !undoable?.item.task.offers?.includes(button.dataset.do);
    }
    this.paintToast(this.work.outbox);
    clearTimeout(this.toastTimer);
    this.toastTimer = setTimeout(() => this.hideToast(), undoable ? milliseconds : 3000);
  }

  paintToast({ waiting, trouble }) {
    const text = !waiting.length
      ? gettext("Label sent.")
      : trouble
        ? gettext("Kept here until the server is back.")
        : gettext("Sending the label…");
    const line = document.querySelector("#toast span");
    if (line.textContent !== text) line.textContent = text;
  }

  hideToast() {
    byId("toast").hidden = true;
  }

  /** The way back in leads to this task; the words go once its text is saved again. */
  signedOut() {
    const { draft } = this.work;
    if (draft === this.signedOutDraft) return;
    this.signedOutDraft = draft;
    this.notice(gettext("You are signed out. Your text is kept here: sign in, and this task comes back with it."));
    const way = document.createElement("a");
    way.className = "btn small";
    way.href = `/accounts/login/?next=${encodeURIComponent(location.pathname + location.search)}`;
    way.textContent = gettext("Sign in");
    document.querySelector("#notice p").append(" ", way);
    const back = ({ detail }) => {
      if (detail.state !== "saved") return;
      draft.removeEventListener("state", back);
      this.signedOutDraft = null;
      this.notice(null);
    };
    draft.addEventListener("state", back);
  }

  /** Something to look at when it suits, with the way there. */
  news(text, words) {
    const there = [...byId("troubles").querySelectorAll(".says p")].some((line) => line.textContent === text);
    if (there) return;
    const box = byId("news").content.cloneNode(true).firstElementChild;
    box.querySelector("p").textContent = text;
    box.querySelector("a").textContent = words;
    box.querySelector("button").addEventListener("click", () => box.remove());
    byId("troubles").append(box);
    this.say(text);
  }

  /** A label that the server will not have: its words stay until the person opens or drops them. */
  refusedLabel(item, choices) {
    this.hideToast();
    const box = byId("refused").content.cloneNode(true).firstElementChild;
    box.querySelector("p").textContent = fill(gettext("A label was not taken: %(why)s"), { why: item.refused });
    for (const [name, choose] of Object.entries(choices)) {
      box.querySelector(`[data-choice=${name}]`).addEventListener("click", () => {
        box.remove();
        choose();
      });
    }
    byId("troubles").append(box);
    this.say(box.querySelector("p").textContent);
  }

  /** Two tabs wrote: show both texts and let the person choose. */
  choose(view, draft, stored) {
    const dialog = byId("stale");
    byId("stale-mine").textContent = view.describe(draft.answer);
    byId("stale-theirs").textContent = view.describe(stored.answer);
    const decide = (mine) => {
      draft.settle({ mine });
      if (!mine) view.answer = stored.answer;
      dialog.close();
    };
    // Nothing is saved before the choice, so neither Escape nor a click beside it closes it.
    dialog.onclose = () => draft.stale && dialog.showModal();
    byId("keep-mine").onclick = () => decide(true);
    byId("keep-theirs").onclick = () => decide(false);
    if (!dialog.open) dialog.showModal();
  }
}
