/** The page of reading: every choice is kept with the account at once. */
import { api } from "../js/api.js";
import { clock, fill, gettext } from "../js/words.js";

const boxes = [...document.querySelectorAll("[data-choice]")];

function tell(state, text) {
  const line = document.querySelector("[data-saved]");
  line.dataset.state = state;
  line.textContent = text;
}

async function choose(box) {
  const { choice } = box.dataset;
  tell("busy", gettext("saving…"));
  try {
    const stored = await api.put("/api/account/reading/", { [choice]: box.checked });
    box.checked = stored[choice];
    tell("good", fill(gettext("saved %(time)s"), { time: clock() }));
  } catch (problem) {
    box.checked = !box.checked;
    tell("bad", problem.message);
  }
}

for (const box of boxes) box.addEventListener("change", () => choose(box));
