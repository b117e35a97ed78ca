/**
 * What the address asks to be opened: `?label=` a label of one's own, to be revised, with what a reviewer said of
 * it and the way to appeal; `?lease=` a task that was begun earlier.
 */
import { api } from "../js/api.js";
import { clock, fill, gettext } from "../js/words.js";
import { ready } from "./kinds.js";

const byId = (id) => document.getElementById(id);

const SAYS = {
  sent_back: () => gettext("Sent back by a reviewer"),
  appealed: () => gettext("Sent back by a reviewer; your appeal is under way"),
  refused: () => gettext("Sent back by two reviewers, which is final"),
  restored: () => gettext("Restored: your appeal was right"),
  accepted: () => gettext("Accepted by a reviewer"),
};

export class OwnLabel {
  constructor(work) {
    this.work = work;
    this.card = byId("verdict");
    this.id = null;
    byId("appeal-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.appeal();
    });
    byId("appeal-text").addEventListener("input", ({ target }) => work.kept.put(`appeal:${this.id}`, target.value));
  }

  get asked() {
    const query = new URLSearchParams(location.search);
    return query.get("label") || query.get("lease");
  }

  /** Open what the address asks for; true where it is on screen now. @throws {Problem} the server is away */
  async open() {
    const query = new URLSearchParams(location.search);
    try {
      return query.get("label") ? await this.openLabel(query.get("label")) : await this.openLease(query.get("lease"));
    } catch (problem) {
      if (problem.away || problem.signedOut) throw problem;
      this.done();
      this.later(gettext("What you wanted to open is not there, or not yours."));
      return false;
    }
  }

  async openLabel(id) {
    let own = await this.fetch(id);
    while (own.revised_by) own = await this.fetch(own.revised_by);
    if (own.invalidated) {
      this.done();
      this.later(fill(gettext("Your label was taken out of use: %(why)s"), { why: own.invalidated }));
      return false;
    }
    await ready(own.task.kind);
    // What was changed before a reload comes before what was sent.
    const mine = this.work.kept.get(`revision:${own.id}`);
    this.work.show({ ...own.task, draft: null }, { answer: mine?.answer ?? own.answer, label: own.id });
    this.id = own.id;
    this.paint(own.review);
    return true;
  }

  async openLease(lease) {
    let lost = null;
    try {
      await api.post(`/api/leases/${encodeURIComponent(lease)}/heartbeat/`);
    } catch (problem) {
      if (problem.status !== 409) throw problem;
      lost = problem.message;
    }
    const task = await api.get(`/api/leases/${encodeURIComponent(lease)}/`);
    this.done();
    if (lost && !task.draft) {
      this.later(lost);
      return false;
    }
    await ready(task.kind);
    this.work.show(task, { notice: lost });
    return true;
  }

  fetch(id) {
    return api.get(`/api/annotations/${encodeURIComponent(id)}/`);
  }

  /** Said once the page has gone on to what it shows instead. */
  later(text) {
    setTimeout(() => this.work.panels.notice(text), 300);
  }

  /** Another task takes the label's place on screen. */
  done() {
    this.id = null;
    this.card.hidden = true;
    if (this.asked) history.replaceState(null, "", location.pathname);
  }

  /** A reviewer or an admin said something about labels of mine. */
  async news() {
    if (!this.id) {
      this.work.panels.news(gettext("A reviewer decided about a label of yours."), gettext("See what"));
      return;
    }
    try {
      const { id, review } = await this.fetch(this.id);
      if (id === this.id) this.paint(review);
    } catch {
      // It is told when the label is opened next.
    }
  }

  paint(review) {
    this.card.hidden = !review;
    if (!review) return;
    this.card.querySelector("h2").textContent = SAYS[review.state]();
    this.card.classList.toggle("warn", !["accepted", "restored"].includes(review.state));
    const lines = [
      [gettext("Reviewer"), review.reason],
      [gettext("Your appeal"), review.appeal],
      [gettext("Second reviewer"), review.answer],
    ];
    this.card.querySelector("dl").replaceChildren(
      ...lines.filter(([, text]) => text).flatMap(([who, text]) => [part("dt", who), part("dd", text)]),
    );
    this.card.querySelector("[data-do=appeal]").hidden = review.state !== "sent_back";
    this.work.panels.say(`${SAYS[review.state]()}. ${review.answer || review.reason}`);
  }

  askAppeal() {
    byId("appeal-error").textContent = "";
    byId("appeal-text").value = this.work.kept.get(`appeal:${this.id}`) ?? "";
    byId("appeal").showModal();
    byId("appeal-text").focus();
  }

  async appeal() {
    const text = byId("appeal-text").value;
    try {
      await api.post(`/api/annotations/${this.id}/appeal/`, { text });
    } catch (problem) {
      byId("appeal-error").textContent = problem.errors[0]?.message ?? problem.message;
      byId("appeal-text").focus();
      return;
    }
    this.work.kept.drop(`appeal:${this.id}`);
    byId("appeal").close();
    const said = gettext("Sent %(time)s. Another reviewer decides; you see the outcome here and under My work.");
    this.work.panels.say(fill(said, { time: clock() }));
    await this.news();
  }
}

function part(name, text) {
  const one = document.createElement(name);
  one.textContent = text;
  if (name === "dd") {
    one.dir = "auto";
    one.className = "plain";
  }
  return one;
}
