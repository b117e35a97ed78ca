/** What happens to labels elsewhere: to my own, told by `own_label.js`, and to those that I am judging. */
import { api } from "../js/api.js";
import { gettext } from "../js/words.js";

export class LabelNews {
  constructor(work) {
    this.work = work;
    for (const name of ["label", "invalidated"]) {
      document.addEventListener(`live:${name}`, ({ detail }) => this.heard(detail));
    }
  }

  heard({ task, told }) {
    const { work } = this;
    if (told?.includes(work.main.dataset.labeler)) work.own.news();
    if (work.view && !work.revising && work.task.reviewed?.id === task) this.judgeAnew();
  }

  /** Labels under review changed: show them as they are, with what was decided so far. */
  async judgeAnew() {
    const { work } = this;
    const { task, view } = work;
    const fresh = await this.fresh(task);
    if (fresh === task || work.view !== view) return;
    const { answer } = view;
    work.task = view.task = fresh;
    view.answer = answer;
    work.changed();
    view.begin();
    work.panels.notice(
      gettext("A label here was revised or taken out meanwhile. What you decided about the others stands."),
    );
  }

  /** A review as its labels are now; as it was where the server does not say. */
  async fresh(task) {
    if (task.kind !== "review") return task;
    try {
      const { labels, differ } = await api.get(`/api/leases/${task.lease}/`);
      return { ...task, labels, differ };
    } catch {
      return task;
    }
  }
}
