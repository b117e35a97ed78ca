/**
 * `<talk-board>`: a talk with the current checkpoint. The conversation stands on top, the two answers to the
 * newest message side by side below it, your message at the bottom; the talk goes on with the better answer.
 *
 * A turn is open from its message until the next one is sent: so long its choice can be changed. What is open
 * and not chosen yet travels with the draft as `unsent`.
 */
import { api } from "../js/api.js";
import { fill, gettext } from "../js/words.js";
import { answerCard } from "./answer_card.js";
import { conversation } from "./conversation.js";
import { Kind } from "./kind.js";
import { reading } from "./reading.js";
import { delay, goingOn, isOver, ReplyStream } from "./reply_stream.js";
import { Retry } from "./retry.js";
import { buildScale, FURTHEST, paintScale, sentence, strengthOf, towards } from "./strengths.js";
import { described, invitation, messagesOf, reviewed, stepOf } from "./turns.js";

export class TalkBoard extends Kind {
  /** Turns as the API has them; the last one may still be open. */
  #turns = [];
  /** The message that waits for its answers or for a choice: `{said, reply}`, the number once it is known. */
  #open = null;
  #step = null;
  #bothBad = false;
  #past = [];
  #trouble = null;
  #replies;
  #stream;
  #cards;

  build(task) {
    task.replies ??= [];
    this.#replies = new Map(task.replies.map((reply) => [reply.number, reply]));
    this.#stream = new ReplyStream(task.lease);
    this.#stream.addEventListener("reply", ({ detail }) => this.#heard(detail));
    this.#stream.addEventListener("trouble", ({ detail }) => this.#tellTrouble(detail));
    this.retry = new Retry(() => this.#ask());
    this.querySelector("[data-brief]").textContent = task.brief.text ?? "";
    this.querySelector("[data-opening]").append(conversation(task.prompt));
    this.#cards = [1, 2].map((n) =>
      answerCard({ id: n, text: "", html: null }, n, fill(gettext("Answer %(n)s is better; again: by more"), { n })),
    );
    this.querySelector(".answers").append(...this.#cards);
    for (const [at, card] of this.#cards.entries()) {
      card.querySelector(".key").addEventListener("click", () => this.prefer(at + 1));
    }
    buildScale(this.#scale, (step) => this.choose(step));
    this.#badBox.addEventListener("change", () => this.toggleBothBad());
    this.text.maxLength = task.limits.characters;
    this.text.addEventListener("input", () => this.changed());
    this.text.addEventListener("keydown", (event) => this.#typed(event));
    this.querySelector("[data-send]").addEventListener("click", () => this.send());
    this.querySelector("[data-again]").addEventListener("click", () => this.#ask());
    this.querySelector("[data-unsend]").addEventListener("click", () => this.unsend());
    this.#paint();
  }

  disconnectedCallback() {
    this.#stream.stop();
    this.retry.done();
  }

  get text() {
    return this.querySelector("textarea");
  }

  get hint() {
    return gettext("Talk with the model, and choose the better of its two answers at each turn.");
  }

  get heading() {
    return gettext("Your talk");
  }

  get answer() {
    const open = this.#isChosen ? [this.#chosenTurn] : [];
    const unsent = { ...(open.length ? {} : this.#open), ...(this.text.value && { writing: this.text.value }) };
    const rest = Object.keys(unsent).length ? { unsent } : {};
    return this.commented({ turns: [...this.#turns, ...open], ...rest });
  }

  set answer(answer) {
    const { writing = "", said, reply } = answer?.unsent ?? {};
    this.#stream.stop();
    this.#settle();
    this.#turns = Array.isArray(answer?.turns) ? answer.turns : [];
    this.#open = typeof said === "string" ? { said, ...(Number.isInteger(reply) ? { reply } : {}) } : null;
    if (!this.#open && this.#turns.length) this.#reopen();
    this.text.value = writing;
    this.keepComment(answer);
    this.#paint();
    this.#goOn();
  }

  get lack() {
    if (!this.task.somebody && !this.#replies.size) return gettext("No model can be talked with here yet.");
    if (this.#canChoose && !this.#isChosen) return gettext("Say which answer is better, or that they tie.");
    if (!this.#turns.length && !this.#isChosen) {
      return this.#open
        ? gettext("Wait for the answers, then choose one.")
        : gettext("Say something to the model, then choose an answer.");
    }
    return null;
  }

  get empty() {
    return !this.#turns.length && !this.#open && !this.text.value && !this.comment;
  }

  /** Words that would be left out. */
  get doubt() {
    return Boolean(this.text.value.trim() || (this.#open && !this.#isChosen));
  }

  /** Keys are for two answers that wait to be judged, or judged anew. */
  begin() {
    if (!this.text.disabled && (!this.#open || this.text.value)) this.text.focus({ preventScroll: true });
  }

  pointOut() {
    if (this.#canChoose) this.#scale.querySelector("input").focus({ preventScroll: true });
    else this.begin();
  }

  key(name) {
    if (name === "e" || name === "Enter") return this.text.disabled ? () => this.pointOut() : () => this.text.focus();
    if (name === "u") return this.#past.length || this.#isStuck ? () => this.undo() : null;
    if (!this.#canChoose) return null;
    return {
      1: () => this.prefer(1),
      2: () => this.prefer(2),
      0: () => this.choose(0),
      "=": () => this.choose(0),
      x: () => this.toggleBothBad(),
      ArrowLeft: () => this.choose(Math.max(-FURTHEST, (this.#step ?? 0) - 1)),
      ArrowRight: () => this.choose(Math.min(FURTHEST, (this.#step ?? 0) + 1)),
    }[name];
  }

  prefer(number) {
    if (this.#canChoose) this.choose(towards(number, this.#step));
  }

  choose(step) {
    if (step === this.#step) {
      this.say(fill(gettext("%(what)s. It cannot go further."), { what: sentence(step) }));
      return;
    }
    this.say(`${sentence(step)}.`);
    this.#judge(step, this.#bothBad);
  }

  toggleBothBad() {
    this.say(this.#bothBad ? gettext("Not both are bad.") : gettext("Both are bad."));
    this.#judge(this.#step ?? 0, !this.#bothBad);
  }

  undo() {
    if (this.#past.length) {
      ({ step: this.#step, bothBad: this.#bothBad } = this.#past.pop());
      const now = this.#step === null ? gettext("nothing chosen") : sentence(this.#step);
      this.say(fill(gettext("Undone: %(now)s."), { now }));
      this.#paint();
      this.changed();
    } else this.unsend();
  }

  /** Say what is in the text to the model; the choice before it stands from now on. */
  send() {
    const said = this.text.value;
    if (!said.trim() || this.text.disabled) return;
    if (this.#isChosen) this.#turns = [...this.#turns, this.#chosenTurn];
    this.#open = { said };
    this.#settle();
    this.text.value = "";
    this.changed();
    this.#paint();
    this.querySelector(".answers").focus({ preventScroll: true });
    this.querySelector("[data-talk] .last").scrollIntoView({ block: "start" });
    this.say(gettext("Sent. The model answers."));
    this.#ask();
  }

  /** The message that cannot be answered goes back into the text. */
  unsend() {
    if (!this.#open || this.#canChoose) return;
    this.#stream.stop();
    this.retry.done();
    this.text.value = this.#open.said;
    this.#open = null;
    if (this.#turns.length) this.#reopen();
    this.#trouble = null;
    this.changed();
    this.#paint();
    this.text.focus();
  }

  describe(answer) {
    return described(answer);
  }

  review() {
    return reviewed(this.answer.turns, this.doubt);
  }

  get #scale() {
    return this.querySelector("[data-strengths]");
  }

  get #badBox() {
    return this.querySelector("[data-both-bad]");
  }

  get #reply() {
    return this.#replies.get(this.#open?.reply);
  }

  get #canChoose() {
    return this.#reply?.state === "done";
  }

  get #isChosen() {
    return this.#canChoose && this.#step !== null;
  }

  /** Whether the message may go back into the text: it failed, or nobody has begun to answer it. */
  get #isStuck() {
    if (!this.#open || this.#canChoose) return false;
    return this.#trouble !== null || this.#reply?.state === "failed" || this.#reply?.state === "waiting";
  }

  get #chosenTurn() {
    const bad = this.#bothBad ? { both_bad: true } : {};
    return { ...this.#open, chosen: this.#step > 0 ? 1 : 0, strength: strengthOf(this.#step), ...bad };
  }

  /** The last turn's choice can be changed until a further message is sent. */
  #reopen() {
    const last = this.#turns.at(-1);
    this.#turns = this.#turns.slice(0, -1);
    this.#open = { said: last.said, reply: last.reply };
    this.#step = stepOf(last);
    this.#bothBad = last.both_bad === true;
  }

  #settle() {
    this.#step = null;
    this.#bothBad = false;
    this.#past = [];
    this.#trouble = null;
  }

  /** Fetch what a reload has not got, and follow what is still being said. */
  async #goOn() {
    if (this.#open?.reply === undefined) this.#ask();
    else if (!isOver(this.#reply ?? {})) this.#stream.follow(this.#open.reply);
    const missing = this.#turns.map((turn) => turn.reply).filter((number) => !this.#replies.has(number));
    for (const number of missing) {
      try {
        this.#learn(await this.#stream.fetch(number));
        this.#paint();
      } catch {
        // Its place says so; a reload asks again.
      }
    }
  }

  async #ask() {
    const open = this.#open;
    if (!open || this.asking) return;
    this.asking = true;
    this.#trouble = null;
    if (this.#reply?.state === "failed") delete open.reply;
    try {
      const body = { text: open.said, turns: this.#turns };
      const reply = await api.post(`/api/leases/${this.task.lease}/say/`, body);
      this.retry.done();
      if (this.#open !== open) return;
      open.reply = reply.number;
      this.changed();
      this.#heard(reply);
      if (!isOver(reply)) this.#stream.follow(reply.number);
    } catch (problem) {
      if (this.#open === open) this.#refused(problem);
    } finally {
      this.asking = false;
    }
  }

  #refused(problem) {
    if (problem.away || problem.signedOut) {
      this.#tellTrouble(gettext("The server does not answer. Your message is kept here and goes out when it is back."));
      this.retry.later();
      return;
    }
    this.unsend();
    this.#tellTrouble(problem.errors[0]?.message ?? problem.message);
    this.say(this.#trouble);
  }

  #learn(reply) {
    this.#replies.set(reply.number, reply);
    if (!isOver(reply)) return;
    this.task.replies = [...this.task.replies.filter((one) => one.number !== reply.number), reply];
    this.dispatchEvent(new Event("learned"));
  }

  #heard(reply) {
    if (reply.number !== this.#open?.reply) return;
    const before = this.#replies.get(reply.number);
    if (before && isOver(before)) return;
    this.#learn(goingOn(before, reply));
    if (reply.state === "done") {
      this.say(gettext("Both answers are here. Choose the better one."));
      this.changed();
    }
    if (reply.state === "failed") this.say(reply.fault);
    this.#paint();
  }

  #tellTrouble(words) {
    if (this.#trouble === words) return;
    this.#trouble = words;
    this.#paint();
  }

  #judge(step, bothBad) {
    this.#past.push({ step: this.#step, bothBad: this.#bothBad });
    this.#step = step;
    this.#bothBad = bothBad;
    this.#paint();
    this.changed();
  }

  /** Enter sends, as people know it from talks; Ctrl with it ends the talk, as everywhere on the page. */
  #typed(event) {
    if (event.key !== "Enter" || event.shiftKey || event.ctrlKey || event.metaKey || event.isComposing) return;
    event.preventDefault();
    this.send();
  }

  #paint() {
    this.#paintTalk();
    this.#paintAnswers();
    const stands = this.#canChoose;
    this.querySelector("[data-verdict]").hidden = !this.#open;
    this.#scale.disabled = this.#badBox.disabled = !stands;
    this.#badBox.checked = this.#bothBad;
    paintScale(this.#scale, this.#cards, stands ? this.#step : null);
    const full = this.#turns.length + Number(this.#isChosen) >= this.task.limits.turns;
    const closed = full || (this.#open && !this.#isChosen) || !this.task.somebody;
    if (this.text.disabled !== Boolean(closed)) this.text.disabled = Boolean(closed);
    const now = { full, open: this.#open, whole: stands, chosen: this.#isChosen };
    this.text.placeholder = invitation({ ...now, somebody: this.task.somebody });
    this.querySelector("[data-send]").setAttribute("aria-disabled", String(Boolean(closed)));
    this.#paintState();
  }

  /** The talk changes only when a message is sent, so that nothing moves while somebody reads. */
  #paintTalk() {
    const messages = messagesOf(this.#turns, this.#open, this.#replies);
    if (this.painted === JSON.stringify(messages)) return;
    this.painted = JSON.stringify(messages);
    const talk = this.querySelector("[data-talk]");
    talk.hidden = !messages.length;
    talk.replaceChildren(messages.length ? conversation(messages) : "");
  }

  #paintAnswers() {
    const section = this.querySelector(".answers");
    section.hidden = !this.#open;
    section.setAttribute("aria-busy", String(Boolean(this.#open) && !this.#canChoose));
    const texts = this.#reply?.texts ?? [];
    for (const [at, card] of this.#cards.entries()) {
      const { text = "", html = null } = texts[at] ?? {};
      const shown = `${html !== null}:${text}`;
      if (card.dataset.shown === shown) continue;
      card.dataset.shown = shown;
      const body = this.#canChoose && !text.trim() ? { text: gettext("(said nothing)") } : { text, html };
      reading(card.querySelector("[data-text]"), body);
    }
  }

  #paintState() {
    const reply = this.#reply;
    const waits = this.#open && reply && !isOver(reply) ? delay(reply) : null;
    const words = this.#trouble ?? (reply?.state === "failed" ? reply.fault : waits) ?? "";
    const line = this.querySelector("[data-state-of-reply]");
    if (line.textContent !== words) {
      line.textContent = words;
      if (waits && words === waits && reply.quiet_seconds) this.say(words);
    }
    this.querySelector("[data-again]").hidden = !(this.#open && (reply?.state === "failed" || this.#trouble));
    this.querySelector("[data-unsend]").hidden = !(this.#isStuck && words);
  }
}

customElements.define("talk-board", TalkBoard);
