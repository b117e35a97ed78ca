/**
 * What this browser keeps for one person: drafts and the outbox. `forget.js` clears it at sign-out.
 * A full or closed storage never throws here; `put` says whether the copy was kept.
 */
export class Kept {
  constructor(user) {
    this.prefix = `tutelage:${user}:`;
    document.addEventListener("forget", () => (this.closed = true));
  }

  get(name) {
    try {
      return JSON.parse(localStorage.getItem(this.prefix + name) ?? "null");
    } catch {
      return null;
    }
  }

  put(name, value) {
    if (this.closed) return false;
    try {
      localStorage.setItem(this.prefix + name, JSON.stringify(value));
      return true;
    } catch {
      return false;
    }
  }

  /** Every value whose name begins so. */
  all(start) {
    try {
      const names = Object.keys(localStorage).filter((key) => key.startsWith(this.prefix + start));
      return names.map((name) => this.get(name.slice(this.prefix.length))).filter(Boolean);
    } catch {
      return [];
    }
  }

  drop(name) {
    try {
      localStorage.removeItem(this.prefix + name);
    } catch {
      // Nothing was kept, so there is nothing to drop.
    }
  }
}

/** A UUID also where `crypto.randomUUID` is closed to us: plain HTTP on another host than this one. */
export function uuid() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
