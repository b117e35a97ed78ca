/** A conversation as quiet blocks of plain text, the last turn in full weight. */
import { gettext } from "../js/words.js";

const ROLES = {
  system: () => gettext("Setting"),
  user: () => gettext("Person"),
  assistant: () => gettext("Model"),
};

/** Text of a message, whether a string or a list of content parts. */
export const textOf = ({ content }) =>
  typeof content === "string" ? content : content.map((part) => part.text ?? "").join("\n");

export function conversation(messages) {
  const list = document.createElement("div");
  list.className = "conversation";
  messages.forEach((message, at) => {
    const turn = document.createElement("div");
    turn.className = `turn ${at === messages.length - 1 ? "last" : ""}`;
    turn.dataset.role = message.role;
    if (messages.length > 1) {
      const who = document.createElement("p");
      who.className = "who soft small";
      who.textContent = ROLES[message.role]?.() ?? message.role;
      turn.append(who);
    }
    const text = document.createElement("div");
    text.className = "plain";
    text.dir = "auto";
    text.textContent = textOf(message);
    turn.append(text);
    list.append(turn);
  });
  return list;
}
