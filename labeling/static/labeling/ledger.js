/** Correct a day of the ledger: the form is sent over the API, and what is refused is said beside its field. */
import { api } from "../js/api.js";

const form = document.getElementById("correct");

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const { labeler, day, minutes, reason } = Object.fromEntries(new FormData(form));
  for (const line of form.querySelectorAll(".errors")) line.textContent = "";
  try {
    const body = { labeler, day, seconds: Math.round(Number(minutes) * 60), reason };
    await api.post(`/api/projects/${form.dataset.project}/time-corrections/`, body);
    location.reload();
  } catch (problem) {
    const told = problem.errors.map(({ field, message }) => {
      const line = document.getElementById(`${field}-error`);
      if (line) line.textContent = message;
      return line;
    });
    if (!told.some(Boolean)) form.querySelector("[data-trouble]").textContent = problem.message;
    form.querySelector(`[aria-describedby="${told.find(Boolean)?.id}"]`)?.focus();
  }
});
