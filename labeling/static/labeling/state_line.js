/** The one line that says where the work is: on the server, here, or on its way. */
import { clock, fill, gettext, ngettext } from "../js/words.js";

export class StateLine {
  /** @param {(text: string) => void} say told of trouble and of its end, not of each save */
  constructor(outbox, say) {
    this.say = say;
    this.element = document.querySelector("[data-saved]");
    this.outbox = outbox;
    this.words = ["good", ""];
    this.more = "";
    outbox.addEventListener("change", () => this.paint());
  }

  fresh(draft) {
    this.words = draft ? ["good", gettext("saved earlier")] : ["", gettext("nothing to save yet")];
    this.paint();
  }

  draft({ state, at, reason }) {
    const says = {
      writing: () => ["busy", this.words[0] === "good" ? this.words[1] : gettext("saving…")],
      saving: () => ["busy", this.words[1]],
      saved: () => ["good", fill(gettext("saved %(time)s"), { time: clock(at) })],
      kept: () => ["warn", gettext("offline, kept here")],
      unkept: () => ["bad", gettext("not saved: leave this page open")],
      "signed-out": () => ["warn", gettext("signed out, kept here")],
      stale: () => ["bad", gettext("two texts: choose one")],
      refused: () => ["bad", reason],
    };
    this.words = says[state]();
    this.paint();
  }

  /** What a reload while the server is away would find, for whoever asks with the pointer. */
  sheltered(held) {
    this.more = held
      ? gettext("This page and the tasks in hand are kept in this browser: a reload works while the server is away.")
      : gettext("This browser keeps your texts, but not this page: do not reload while the server is away.");
    this.paint();
  }

  paint() {
    const waiting = this.outbox.waiting.length;
    let [state, text] = this.words;
    if (waiting && this.outbox.trouble) {
      state = this.outbox.safe === false ? "bad" : "warn";
      const form = ngettext("%(n)s label waits here", "%(n)s labels wait here", waiting);
      text = `${this.outbox.trouble === "away" ? gettext("offline") : gettext("signed out")}, ${fill(form, { n: waiting })}`;
    } else if (waiting) {
      [state, text] = ["busy", gettext("sending…")];
    }
    if (this.element.textContent !== text) this.element.textContent = text;
    const trouble = ["warn", "bad"].includes(state);
    if (trouble ? text !== this.told : this.told && state === "good") {
      this.told = trouble ? text : null;
      this.say(text);
    }
    if (this.element.dataset.state !== state) this.element.dataset.state = state;
    this.element.title = this.more ? `${text}\n${this.more}` : text;
  }
}
