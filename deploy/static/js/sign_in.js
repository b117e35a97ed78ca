/** One click on a demo account fills the form; signing in stays a deliberate press. */
const form = document.querySelector("form[action$='/login/']");

for (const account of document.querySelectorAll("[data-username]")) {
  account.addEventListener("click", () => {
    form.elements.login.value = account.dataset.username;
    form.elements.password.value = account.dataset.password;
    form.querySelector("button[type=submit]").focus();
  });
}
