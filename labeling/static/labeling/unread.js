/**
 * The door before the next task: a guideline version that asks is read first, with what changed since the one by
 * which this labeler last worked. A task in hand is never taken away; the door comes after it.
 */
import { api, fragment } from "../js/api.js";
import { gettext } from "../js/words.js";

const TYPE = "urn:tutelage:unread-guideline";

export class Unread {
  constructor(work) {
    this.work = work;
    this.version = null;
  }

  get shown() {
    return this.version !== null && !this.work.view;
  }

  /** Show what is to be read, where that is why no task came; true where it is on screen. */
  async met({ body }) {
    if (body?.type !== TYPE || this.work.view) return false;
    const { number } = body.guideline_version;
    const html = await fragment(`/projects/${this.work.project}/guideline/${number}/news/`).catch(() => null);
    if (html === null || this.work.view) return false;
    this.version = body.guideline_version;
    document.getElementById("unread").innerHTML = html;
    this.work.panels.stage("unread");
    this.work.line.fresh(null);
    scrollTo({ top: 0, behavior: "instant" });
    this.work.main.focus({ preventScroll: true });
    this.work.panels.say(document.getElementById("unread-title").textContent);
    return true;
  }

  async acknowledge() {
    if (!this.shown || this.asking) return;
    this.asking = true;
    try {
      await api.post(this.version.acknowledge);
      this.version = null;
      await this.work.load();
    } catch (problem) {
      this.work.panels.notice(
        problem.away ? gettext("The server does not answer, so nothing is noted yet. Try again soon.") : problem.message,
      );
    } finally {
      this.asking = false;
    }
  }
}
