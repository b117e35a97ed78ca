/**
 * Every kind of task: the element that shows it (see `kind.js`), the module that defines it, and its style
 * sheets. They are fetched when a task of the kind comes; a new kind is a line here and a `<template>`.
 */
import { Problem } from "../js/api.js";
import { gettext } from "../js/words.js";

const KINDS = {
  rank: { element: "rank-board", module: "rank.js", styles: ["rank.css"] },
  compare: { element: "compare-board", module: "compare.js", styles: ["compare.css"] },
  rate: { element: "rate-sheet", module: "rate.js", styles: ["rank.css", "rate.css"] },
  edit: { element: "edit-sheet", module: "edit.js", styles: ["edit.css"] },
  prompt: { element: "prompt-editor", module: "prompt.js", styles: ["prompt.css"] },
  converse: { element: "talk-board", module: "talk.js", styles: ["compare.css", "talk.css"] },
  mark: { element: "mark-sheet", module: "mark.js", styles: ["mark.css"] },
  demonstrate: { element: "demonstration-editor", module: "write.js", styles: ["model_draft.css"] },
  review: { element: "review-board", module: "review.js", styles: ["edit.css", "review.css"] },
};

export const NAMES = Object.keys(KINDS);

const fetched = new Map();

/** The name of the element that shows a kind. */
export const elementOf = (kind) => KINDS[kind].element;

/** Resolves once a kind's element can be made and is styled. @throws {Problem} the server is away */
export async function ready(kind) {
  try {
    const { module, styles } = KINDS[kind];
    await Promise.all([once(module, script), ...styles.map((name) => once(name, styleSheet))]);
  } catch {
    throw new Problem(0, { detail: gettext("The server does not answer.") });
  }
}

/** What failed is fetched again when it is wanted again. */
function once(name, fetching) {
  if (!fetched.has(name)) {
    fetched.set(name, fetching(name));
    fetched.get(name).catch(() => fetched.delete(name));
  }
  return fetched.get(name);
}

const script = (name) => import(`./${name}`);

/** In the order of the table, before what styles every kind's texts. */
function styleSheet(name) {
  const link = document.createElement("link");
  link.rel = "stylesheet";
  link.href = new URL(name, import.meta.url);
  const loaded = new Promise((resolve, refuse) => {
    link.addEventListener("load", resolve);
    link.addEventListener("error", refuse);
  });
  document.querySelector("[data-kinds-before]").before(link);
  return loaded.catch((problem) => {
    link.remove();
    throw problem;
  });
}
