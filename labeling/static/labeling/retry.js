/** Try again later, a little later each time, and at once when the network or the server comes back. */
const SLOWEST = 15_000;

export class Retry {
  constructor(action) {
    this.action = action;
    this.failures = 0;
    this.run = () => {
      this.rest();
      this.action();
    };
    this.heard = ({ detail }) => detail.state === "live" && this.run();
  }

  later() {
    this.rest();
    this.timer = setTimeout(this.run, Math.min(SLOWEST, 1000 * 2 ** this.failures++));
    addEventListener("online", this.run);
    document.addEventListener("live:state", this.heard);
  }

  done() {
    this.rest();
    this.failures = 0;
  }

  rest() {
    clearTimeout(this.timer);
    this.timer = null;
    removeEventListener("online", this.run);
    document.removeEventListener("live:state", this.heard);
  }
}
