/** Try again later, a little later each time, and at once when the network or the server comes back. */
export class Retry {
  constructor(action, { slowest = 15_000 } = {}) {
    this.action = action;
    this.slowest = slowest;
    this.failures = 0;
    this.now = () => this.timer && this.run();
    addEventListener("online", this.now);
    document.addEventListener("live:state", ({ detail }) => detail.state === "live" && this.now());
  }

  later() {
    clearTimeout(this.timer);
    const wait = Math.min(this.slowest, 1000 * 2 ** this.failures++);
    this.timer = setTimeout(() => this.run(), wait);
  }

  run() {
    clearTimeout(this.timer);
    this.timer = null;
    this.action();
  }

  done() {
    clearTimeout(this.timer);
    this.timer = null;
    this.failures = 0;
  }
}
