/**
 * The work page: takes a task, shows it as its kind wants, keeps what is written, sends it, and has the next
 * one ready. What is typed is never only in this script: see `draft.js` and `outbox.js`.
 */
import { api } from "../js/api.js";
import { duration, fill, gettext } from "../js/words.js";
import { switchSteps } from "./conversation.js";
import { Cover } from "./cover.js";
import { Draft } from "./draft.js";
import { Effort } from "./effort.js";
import { Held } from "./held.js";
import { Kept } from "./kept.js";
import { LabelNews } from "./label_news.js";
import { LeaseWatch } from "./lease_watch.js";
import { Keys } from "./keys.js";
import { NAMES, elementOf, ready } from "./kinds.js";
import { Outbox } from "./outbox.js";
import { OwnLabel } from "./own_label.js";
import { Panels } from "./panels.js";
import { switchPlain } from "./reading.js";
import { Retry } from "./retry.js";
import { StateLine } from "./state_line.js";
import { Unread } from "./unread.js";

const UNDO = 10_000;

class Work {
  constructor(main) {
    this.main = main;
    this.kinds = main.dataset.kinds ? main.dataset.kinds.split(" ") : NAMES;
    this.project = main.dataset.project;
    this.source = main.dataset.source || `/api/projects/${this.project}/next/`;
    /** Practice: where a label is explained, with 0 in the place of its number; then one task is all. */
    this.explained = main.dataset.explained;
    this.kept = new Kept(document.body.dataset.user);
    this.outbox = new Outbox({ kept: this.kept });
    this.line = new StateLine(this.outbox, (text) => this.panels.say(text));
    this.held = new Held({ user: document.body.dataset.user, project: this.project, kinds: this.kinds });
    this.held.keepPage().then((held) => this.line.sheltered(held));
    this.keys = new Keys({ key: (name, event) => this.key(name, event), submit: () => this.submit() });
    this.panels = new Panels(this);
    const always = main.dataset.sensitive === "shown";
    this.cover = new Cover({ always, say: (text) => this.panels.say(text) });
    this.lease = new LeaseWatch(this);
    this.own = new OwnLabel(this);
    this.labels = new LabelNews(this);
    this.unread = new Unread(this);
    this.again = new Retry(() => this.load({ quietly: true }));
    this.ahead = [];
    // Leases that were answered or skipped here: what was asked for before may still bring them.
    this.settled = new Set();
    this.undoable = null;
    this.watch();
    this.outbox.refused.forEach((item) => this.tellRefused(item));
    this.load();
  }

  watch() {
    document.addEventListener("click", ({ target }) => {
      const button = target.closest("[data-do]");
      if (button) this.act(button.dataset.do);
    });
    this.outbox.addEventListener("sent", ({ detail }) => this.sent(detail));
    this.outbox.addEventListener("refused", ({ detail }) => this.refused(detail));
    for (const name of ["tasks", "invalidated", "reload"]) {
      document.addEventListener(`live:${name}`, () => this.newsOfQueue());
    }
    document.addEventListener("live:guideline", ({ detail }) => this.newGuideline(detail));
    addEventListener("pagehide", () => this.rememberEffort());
    addEventListener("beforeunload", (event) => {
      if (this.draft?.unsafe || (this.outbox.waiting.length && !this.outbox.safe)) event.preventDefault();
    });
  }

  act(name) {
    const actions = {
      submit: () => this.submit(),
      review: () => this.review(),
      skip: () => (this.revising ? this.leaveRevision() : this.view && this.panels.askSkip()),
      "skip-now": () => this.skip(),
      undo: () => this.undo(),
      guideline: () => this.panels.guideline(this.task),
      keys: () => this.panels.open("keys"),
      plain: () => this.panels.say(switchPlain()),
      steps: () => this.panels.say(switchSteps() ?? gettext("There are no steps here.")),
      cover: () => this.cover.toggle(),
      continue: () => this.follow("continue"),
      branch: () => this.follow("branch"),
      leave: () => this.leaveRevision(),
      appeal: () => this.own.askAppeal(),
      keep: () => this.lease.beat(),
      next: () => this.leaveTask(),
      load: () => this.load(),
      acknowledge: () => this.unread.acknowledge(),
    };
    actions[name]?.();
  }

  key(name, event) {
    const own = { g: "guideline", s: "skip", v: "plain", o: "steps", b: "cover", "?": "keys" }[name];
    if (own) return () => this.act(own);
    if (this.unread.shown) return name === "Enter" ? () => this.unread.acknowledge() : null;
    if (this.cover.covered) return name === "u" && this.undoable ? () => this.undo() : null;
    const special = this.view?.key(name, event);
    if (special) return special;
    if (name === "u" && this.undoable) return () => this.undo();
    const way = { c: "continue", f: "branch" }[name];
    if (way && this.undoable?.item.task.offers?.includes(way)) return () => this.follow(way);
    return name === "Enter" && this.view?.review ? () => this.review() : null;
  }

  /** Fetch a task and show it; where none waits or the server is away, say so and go on trying `quietly`. */
  async load({ quietly = false } = {}) {
    if ((this.view && !this.task.held) || this.loading || (quietly && this.unread.shown)) return;
    this.loading = true;
    if (!quietly) this.panels.stage("loading");
    try {
      await this.outbox.drain();
      if (!this.view && this.own.asked && (await this.own.open())) return this.again.done();
      const task = await api.post(this.source, this.explained ? undefined : { kinds: this.kinds });
      if (task) await ready(task.kind);
      this.again.done();
      if (this.view) this.reached(task);
      else if (task && this.outbox.waiting.some((item) => item.task.lease === task.lease)) this.again.later();
      else if (task) this.show(task);
      else this.nothing();
    } catch (problem) {
      if (await this.unread.met(problem)) return this.again.done();
      if (problem.body?.qualification && !this.view) return location.assign(problem.body.qualification.page);
      if (!this.view && !(await this.resume(problem))) this.panels.stage("away", problem);
      if (!this.view || this.task.held) this.again.later();
    } finally {
      this.loading = false;
    }
    if (this.view) this.fetchAhead();
  }

  /** Go on with the tasks that this browser holds, where the server is away and it holds some. */
  async resume({ away }) {
    const sent = this.outbox.waiting.map((item) => item.task.lease);
    const held = away ? await this.held.tasks() : [];
    const open = held.filter((task) => !sent.includes(task.lease)).map((task) => ({ ...task, held: true }));
    const shown = await Promise.all(open.map((task) => ready(task.kind).then(() => true, () => false)));
    const [first, ...rest] = open.filter((_, at) => shown[at]);
    if (!first || this.view) return Boolean(this.view);
    this.ahead = rest.map((task) => ({ task, how: {} }));
    this.show(first);
    return true;
  }

  /** The server answers again: what was held here meanwhile is in its hands. */
  reached(task) {
    this.ahead = this.ahead.filter((one) => !one.task.held);
    if (this.task.held && !this.draft.dirty) this.line.fresh(this.draft.stored);
    this.task.held = false;
    this.keepAhead(task);
  }

  /** What a reload finds while the server is away. */
  hold() {
    if (this.explained) return;
    const open = this.view && !this.revising ? [this.task] : [];
    this.held.keepTasks([...open, ...this.ahead.map((one) => one.task)]);
  }

  nothing() {
    this.panels.stage("nothing");
    this.line.fresh(null);
    this.panels.refreshLeft();
    clearTimeout(this.idle);
    this.idle = setTimeout(() => this.load({ quietly: true }), 30_000);
  }

  /** Put a task on screen, with `answer` where it is taken back, as a revision where `label` is given. */
  show(task, { answer = null, label = null, notice = null } = {}) {
    this.ahead = this.ahead.filter((one) => one.task.lease !== task.lease);
    this.settled.delete(task.lease);
    this.view?.remove();
    this.task = LeaseWatch.received(task);
    this.revising = label;
    const held = this.outbox.refused.find((item) => item.task.id === task.id);
    if (held) this.outbox.remove(held);
    const view = document.createElement(elementOf(task.kind));
    view.task = task;
    this.view = view;
    const name = label ? `revision:${label}` : undefined;
    this.draft = new Draft({ task, kept: this.kept, onServer: !label, name });
    this.draft.addEventListener("state", ({ detail }) => this.drafted(detail));
    const start = answer ?? held?.answer ?? this.draft.answer;
    const misfits = start ? view.misfits(start) : [];
    if (start) view.answer = start;
    if (answer ?? held?.answer) this.draft.change(view.answer);
    view.addEventListener("change", () => this.changed());
    view.addEventListener("say", ({ detail }) => this.panels.say(detail));
    view.addEventListener("ready", () => this.review());
    view.addEventListener("learned", () => this.hold());
    this.effort = new Effort(this.kept.get(`active:${task.lease}`) ?? 0);
    this.effort.ontick = (seconds) => this.ticked(seconds);
    this.line.fresh(task.draft);
    this.panels.stage("task", view);
    this.cover.arrived(task, view);
    const lost = held && fill(gettext("The server did not take it: %(why)s"), { why: held.refused });
    const unfit = misfits.length && misfitWords(misfits);
    this.panels.notice(notice || lost || unfit || null, { revising: Boolean(label) });
    this.panels.arrived(task, Boolean(label));
    this.hold();
  }

  changed() {
    this.draft.change(this.view.answer);
    this.panels.progress(this.view);
  }

  drafted(detail) {
    this.line.draft(detail);
    if (detail.state === "stale") this.panels.choose(this.view, this.draft, detail.stored);
    if (detail.state === "signed-out") this.panels.signedOut();
  }

  ticked(seconds) {
    this.panels.effort(duration(seconds));
    if (Math.floor(seconds) % 10 === 0) this.rememberEffort();
  }

  rememberEffort() {
    if (this.view) this.kept.put(`active:${this.task.lease}`, Math.round(this.effort.seconds));
  }

  review() {
    if (!this.view?.review) return;
    if (this.cover.covered) return this.cover.pointOut();
    if (this.view.lack) this.panels.lacking(this.view);
    else this.panels.review(this.view);
  }

  /** Send what is on screen and go on to the next task at once; the outbox sees to its arrival. */
  submit() {
    if (!this.view) return;
    if (this.cover.covered) return this.cover.pointOut();
    if (this.view.lack) {
      this.panels.lacking(this.view);
      return;
    }
    if (this.view.doubt && !this.panels.reviewing) {
      this.review();
      return;
    }
    this.panels.closeAll();
    const { task, revising } = this;
    const answer = this.view.answer;
    const seconds = this.effort.stop();
    // A draft that arrived after its label would come back as unfinished work.
    const quiet = this.draft.close();
    this.settled.add(task.lease);
    const item = this.outbox.add({ task, answer, activeSeconds: seconds, label: revising });
    this.draft.forget();
    this.kept.drop(`active:${task.lease}`);
    this.undoable = this.lastSent = revising ? null : { item, label: null };
    this.panels.sentToast(this.undoable, UNDO);
    clearTimeout(this.undoTimer);
    this.undoTimer = setTimeout(() => (this.undoable = null), UNDO);
    this.goOn();
    quiet.then(() => this.outbox.drain()).then(() => this.fetchAhead());
  }

  goOn() {
    this.own.done();
    this.view.remove();
    this.view = null;
    const next = this.ahead.shift();
    if (next) this.show(next.task, next.how);
    else if (this.explained) this.panels.stage("loading");
    else {
      this.hold();
      this.load();
    }
  }

  async fetchAhead() {
    if (this.ahead.length || !this.view || this.outbox.waiting.length || this.fetching || this.explained) return;
    this.fetching = true;
    try {
      const body = { kinds: this.kinds, prefetch: true };
      const task = await api.post(this.source, body);
      if (task) await ready(task.kind);
      this.keepAhead(task);
    } catch {
      // The next task is then fetched when it is wanted.
    } finally {
      this.fetching = false;
    }
  }

  /** A task that came while another is on screen waits for its turn. */
  keepAhead(task) {
    const known = [this.task, ...this.ahead.map((one) => one.task)];
    if (task && !this.settled.has(task.lease) && !known.some((one) => one.lease === task.lease)) {
      this.ahead.push({ task: LeaseWatch.received(task), how: {} });
    }
    this.hold();
  }

  sent({ item, label }) {
    if (this.explained) location.assign(this.explained.replace("/0/", `/${label.id}/`));
    // The last question of a quiz: its result waits at the door.
    if ((label.qualification ?? "open") !== "open") location.assign(`/projects/${this.project}/qualification/`);
    if (this.lastSent?.item === item) this.lastSent.label = label.id;
    this.panels.refreshLeft();
  }

  refused({ item }) {
    if (this.undoable?.item === item) this.undoable = null;
    this.tellRefused(item);
    if (!this.view) this.load();
  }

  tellRefused(item) {
    this.panels.refusedLabel(item, { open: () => this.reopen(item), drop: () => this.outbox.remove(item) });
  }

  /** Back to a label that the server refused, with its text. */
  async reopen(item) {
    try {
      await ready(item.task.kind);
    } catch (problem) {
      this.panels.notice(problem.message);
      this.tellRefused(item);
      return;
    }
    const task = item.label ? item.task : await this.labels.fresh(item.task);
    this.putAside();
    this.outbox.remove(item);
    this.show(task, { answer: item.answer, label: item.label, notice: item.refused });
  }

  undo() {
    if (this.view?.key("u")) this.view.undo();
    else if (this.undoable) this.takeBack();
  }

  /** Undo a submit: a label that never left comes back as it was, a sent one is opened for revision. */
  async takeBack() {
    const { undoable } = this;
    const { item } = undoable;
    this.undoable = null;
    this.panels.hideToast();
    const label = this.outbox.takeBack(item) ? null : await this.arrived(undoable);
    if (label === undefined) {
      this.panels.notice(gettext("Your label is on its way, but the server does not answer. It cannot be undone now."));
      return;
    }
    this.putAside();
    this.show(item.task, { answer: item.answer, label });
  }

  /** Just after a turn was sent: "continue" with what follows it, or "branch" with another in its place. */
  async follow(way) {
    const { undoable } = this;
    if (!undoable) return;
    this.undoable = null;
    this.panels.hideToast();
    const label = await this.arrived(undoable);
    if (label === undefined) {
      this.panels.notice(gettext("Your label is on its way, but the server does not answer. Nothing follows it yet."));
      return;
    }
    try {
      const task = await api.post(`/api/annotations/${label}/${way}/`);
      await ready(task.kind);
      this.putAside();
      this.show(task);
    } catch (problem) {
      this.panels.notice(problem.message);
    }
  }

  /** The stored label's id, once the server has it; undefined where it cannot be reached. */
  async arrived(undoable) {
    await this.outbox.drain();
    return undoable.label ?? undefined;
  }

  /** What is on screen waits its turn; its draft is kept. */
  putAside() {
    this.own.done();
    if (!this.view) return;
    this.rememberEffort();
    this.effort.stop();
    this.draft.save();
    this.draft.close();
    if (!this.revising) {
      const how = this.view.empty ? {} : { answer: this.view.answer };
      this.ahead.unshift({ task: { ...this.task, draft: this.draft.stored }, how });
    }
    this.view.remove();
    this.view = null;
  }

  leaveRevision() {
    if (!this.revising) return;
    this.draft.close();
    this.draft.forget();
    this.effort.stop();
    this.panels.say(gettext("Your label stays as it was."));
    this.goOn();
  }

  async skip() {
    const { task } = this;
    try {
      await api.post(`/api/leases/${task.lease}/skip/`, { reason: this.panels.skipReason });
    } catch (problem) {
      if (problem.away || problem.signedOut) {
        this.panels.notice(gettext("The server does not answer, so the task is still yours. Try again soon."));
        return;
      }
      // Settled in another tab: going on is all there is to do.
    }
    this.settled.add(task.lease);
    await this.draft.close();
    this.draft.forget();
    this.kept.drop(`active:${task.lease}`);
    this.effort.stop();
    this.panels.say(gettext("Skipped. That never counts against you."));
    this.panels.refreshLeft();
    if (this.task === task) this.goOn();
    this.fetchAhead();
  }

  /** What ran out of time is left to others; what was written stays as a draft. */
  leaveTask() {
    this.rememberEffort();
    this.draft.save();
    this.draft.close();
    this.effort.stop();
    this.goOn();
  }

  /** Everybody hears the same news, so each page waits a moment of its own before it asks. */
  newsOfQueue() {
    this.news ??= setTimeout(
      () => {
        this.news = null;
        this.panels.refreshLeft();
        this.load({ quietly: true });
      },
      200 + Math.random() * 800,
    );
  }

  newGuideline({ version }) {
    const text = gettext("Guideline version %(n)s was published. Tasks already in your hands keep the version they show.");
    this.panels.notice(fill(text, { n: version }), { revising: Boolean(this.revising) });
  }
}

/** What an old draft said that the guideline's new version does not ask: it goes, but not unseen. */
const misfitWords = (misfits) => {
  const text = gettext("The guideline changed since you began. Your draft also said what it no longer asks: %(what)s.");
  return fill(text, { what: misfits.join("; ") });
};

new Work(document.querySelector("main.work"));
