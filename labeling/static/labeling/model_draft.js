/**
 * A draft by the model beside the editor, for whoever asks for one: streamed into a pane, put into the text on
 * demand, taken out again by undo. The server records that it was seen, and how much of the label is its.
 */
import { api } from "../js/api.js";
import { gettext } from "../js/words.js";
import { reading } from "./reading.js";
import { delay, goingOn, isOver, ReplyStream } from "./reply_stream.js";

export class ModelDraft {
  #view;
  #stream;
  #reply = null;
  #mine = null;

  /** @param view the editor; its task carries the draft that was asked for before, if any */
  constructor(view) {
    this.#view = view;
    this.#stream = new ReplyStream(view.task.lease);
    this.#stream.addEventListener("reply", ({ detail }) => this.#heard(detail));
    this.#stream.addEventListener("trouble", ({ detail }) => detail && this.#tell(detail));
    const on = (name, act) => this.#part(name).addEventListener("click", act);
    on("ask-draft", () => this.act());
    on("use-draft", () => this.use());
    on("replace", () => this.#become());
    on("keep", () => this.#askSure(false));
    this.#part("ask-draft").hidden = false;
    const [last] = view.task.replies.slice(-1);
    if (last) this.#heard(last);
    if (last && !isOver(last)) this.#stream.follow(last.number);
  }

  /** What the key does: ask for the draft, use it, and replace a text of one's own when that was asked. */
  act() {
    if (!this.#part("sure").hidden) this.#become();
    else if (this.#reply?.state === "done") this.use();
    else if (!this.#reply || this.#reply.state === "failed") this.#ask();
  }

  get canUndo() {
    return this.#mine !== null;
  }

  use() {
    if (this.#reply?.state !== "done") return;
    const { value } = this.#view.text;
    if (value === this.#text) return;
    if (value.trim()) this.#askSure(true);
    else this.#become();
  }

  undo() {
    if (this.#mine === null) return;
    this.#view.become(this.#mine, gettext("Your text is back."));
    this.#mine = null;
  }

  stop() {
    this.#stream.stop();
  }

  get #text() {
    return this.#reply.texts[0].text;
  }

  #part(name) {
    return this.#view.querySelector(`[data-${name}]`);
  }

  #askSure(asks) {
    this.#part("sure").hidden = !asks;
    if (asks) this.#part("keep").focus();
    else this.#view.text.focus();
  }

  #become() {
    this.#part("sure").hidden = true;
    this.#mine = this.#view.text.value;
    this.#view.become(this.#text, gettext("The draft is in your text. Undo takes it out again."));
    this.#view.text.focus();
  }

  async #ask() {
    this.#tell(gettext("The model begins…"));
    this.#part("draft").hidden = false;
    try {
      const reply = await api.post(`/api/leases/${this.#view.task.lease}/draft-reply/`);
      this.#reply = null;
      this.#heard(reply);
      if (!isOver(reply)) this.#stream.follow(reply.number);
    } catch (problem) {
      this.#tell(problem.message);
      this.#view.say(problem.message);
    }
  }

  #heard(heard) {
    const { task } = this.#view;
    const reply = goingOn(this.#reply, heard);
    this.#reply = reply;
    this.#part("draft").hidden = false;
    reading(this.#part("draft-text"), reply.texts[0]);
    const done = reply.state === "done";
    this.#part("use-draft").hidden = !done;
    this.#part("ask-draft").hidden = reply.state !== "failed";
    this.#tell(reply.fault || (isOver(reply) ? "" : (delay(reply) ?? "")));
    if (!isOver(reply)) return;
    task.replies = [...task.replies.filter(({ number }) => number !== reply.number), reply];
    this.#view.dispatchEvent(new Event("learned"));
    this.#view.say(done ? gettext("The draft is here.") : reply.fault);
  }

  #tell(words) {
    const line = this.#part("draft-state");
    if (line.textContent !== words) line.textContent = words;
  }
}
