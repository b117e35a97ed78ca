/** Copy a new token; where the clipboard is closed (plain HTTP), select it instead. */
import { gettext } from "../js/words.js";

for (const button of document.querySelectorAll("[data-copies]")) {
  button.addEventListener("click", async () => {
    const source = document.getElementById(button.dataset.copies);
    try {
      await navigator.clipboard.writeText(source.textContent);
      button.textContent = gettext("Copied");
    } catch {
      getSelection().selectAllChildren(source);
    }
  });
}
