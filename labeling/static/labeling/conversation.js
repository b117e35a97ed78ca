/** A conversation as quiet blocks, the last turn in full weight. */
import { gettext } from "../js/words.js";
import { dress, reading } from "./reading.js";

const ROLES = {
  system: () => gettext("Setting"),
  user: () => gettext("Person"),
  assistant: () => gettext("Model"),
};

/** Whether a message is one text; else the server made its pictures and steps (`message_html.py`). */
const isText = ({ content, tool_calls: calls }) => typeof content === "string" && !calls;

/** Open all steps of the page, or fold them where all are open; returns what to say of it, null without any. */
export function switchSteps() {
  const steps = [...document.querySelectorAll("main details.step")];
  if (!steps.length) return null;
  const open = steps.some((step) => !step.open);
  for (const step of steps) step.open = open;
  return open ? gettext("All steps are open.") : gettext("The steps are folded.");
}

export function conversation(messages) {
  const list = document.createElement("div");
  list.className = "conversation";
  // What a tool gave back stands in the step that called it.
  const turns = messages.filter(({ role }) => role !== "tool");
  turns.forEach((message, at) => {
    const turn = document.createElement("div");
    turn.className = `turn ${at === turns.length - 1 ? "last" : ""}`;
    turn.dataset.role = message.role;
    if (turns.length > 1) {
      const who = document.createElement("p");
      who.className = "who soft small";
      who.textContent = ROLES[message.role]?.() ?? message.role;
      turn.append(who);
    }
    const text = document.createElement("div");
    if (isText(message)) {
      reading(text, { text: message.content, html: message.html });
    } else {
      text.className = "pieces";
      text.innerHTML = message.html;
      dress(text);
    }
    turn.append(text);
    list.append(turn);
  });
  return list;
}
