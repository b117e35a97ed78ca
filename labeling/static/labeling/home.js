/** The first page follows what happens in its projects: news of one's own at once, the queue's every few seconds. */
const OWN = ["guideline", "time", "reload", "tasks"];
const QUEUE = ["label", "invalidated", "lease", "message", "member"];
const PAUSE = 8000;

let timer = null;

/** Everybody hears the same news, so each page waits a moment of its own before it asks. */
function refresh(wait) {
  timer ??= setTimeout(
    () => {
      timer = null;
      document.getElementById("main").dispatchEvent(new Event("news"));
    },
    wait + Math.random() * 500,
  );
}

for (const name of OWN) document.addEventListener(`live:${name}`, () => refresh(100));
for (const name of QUEUE) {
  document.addEventListener(`live:${name}`, ({ detail }) => {
    const isMine = detail.told?.includes(document.getElementById("main").dataset.labeler);
    if (isMine) {
      clearTimeout(timer);
      timer = null;
    }
    refresh(isMine ? 100 : PAUSE);
  });
}
