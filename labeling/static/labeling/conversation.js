/** A conversation as quiet blocks, the last turn in full weight. */
import { gettext } from "../js/words.js";
import { reading } from "./reading.js";

const ROLES = {
  system: () => gettext("Setting"),
  user: () => gettext("Person"),
  assistant: () => gettext("Model"),
};

/** Text of a message, whether a string or a list of content parts. */
const textOf = ({ content }) =>
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
    reading(text, { text: textOf(message), html: message.html });
    turn.append(text);
    list.append(turn);
  });
  return list;
}
