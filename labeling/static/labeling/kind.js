/**
 * What a kind of task is on the work page: an element named after its `<template>`, with
 *
 * - `task` (set once) and `answer` (get, set), as the API has them; `empty` while nothing is begun;
 * - `lack`: why it cannot be sent, or null; `pointOut()` leads to what lacks;
 * - `doubt`: whether a person should look at it before it is sent, though it can be;
 * - `key(name, event)`: what a single key does now, or null; `hint`: what is said when the task comes;
 * - `describe(answer)`: an answer as a few lines of text;
 * - `misfits(answer)`: what an old draft says that the task's guideline version has no place for, in words;
 * - where they make sense `begin()` (where the hands start), `review()` (an element for the last look),
 *   `heading` (its title), `comment` and `undo()`;
 *
 * and the events `change` (the answer did) and `say` (words for a screen reader).
 */
import { conversation } from "./conversation.js";

/** A fresh copy of a `<template>`'s first element. */
export const copyOf = (id) => document.getElementById(id).content.cloneNode(true).firstElementChild;

export class Kind extends HTMLElement {
  #task;
  #comment = "";

  set task(task) {
    this.#task = task;
    this.replaceChildren(document.getElementById(this.localName).content.cloneNode(true));
    this.querySelector("[data-prompt]")?.append(conversation(task.prompt));
    const steps = this.querySelector("[data-do=steps]");
    if (steps) steps.hidden = !this.querySelector("details.step");
    this.build(task);
  }

  get task() {
    return this.#task;
  }

  get comment() {
    return this.#comment;
  }

  /** As a person writes it; an answer that is set brings its own through `keepComment`. */
  set comment(text) {
    this.#comment = text;
    this.changed();
  }

  keepComment(answer) {
    this.#comment = typeof answer?.comment === "string" ? answer.comment : "";
  }

  /** `answer` with the comment, where there is one. */
  commented(answer) {
    return this.#comment.trim() ? { ...answer, comment: this.#comment } : answer;
  }

  get doubt() {
    return false;
  }

  misfits() {
    return [];
  }

  changed() {
    this.dispatchEvent(new Event("change"));
  }

  say(text) {
    this.dispatchEvent(new CustomEvent("say", { detail: text }));
  }
}
