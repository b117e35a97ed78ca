/** Time with activity on a task, in seconds: idle stretches and hidden tabs do not count. */
const IDLE = 60_000;
const SIGNS = ["pointermove", "pointerdown", "keydown", "wheel", "touchmove", "scroll"];

let lastSign = Date.now();
for (const sign of SIGNS) {
  addEventListener(sign, () => (lastSign = Date.now()), { passive: true, capture: true });
}

/** Milliseconds since the last sign of anybody here. */
export const idleFor = () => Date.now() - lastSign;

export class Effort {
  constructor(seconds = 0) {
    this.seconds = seconds;
    this.at = Date.now();
    this.timer = setInterval(() => this.tick(), 1000);
  }

  tick() {
    const now = Date.now();
    // A laptop that slept wakes with one long tick; that was no work.
    const step = Math.min(now - this.at, 2000);
    this.at = now;
    if (!document.hidden && idleFor() < IDLE) this.seconds += step / 1000;
    this.ontick?.(this.seconds);
  }

  stop() {
    clearInterval(this.timer);
    return this.seconds;
  }
}
