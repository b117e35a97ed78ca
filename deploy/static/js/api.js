/**
 * The one way scripts talk to the API: CSRF, JSON, time limits, and problem documents as exceptions.
 *
 *     const project = await api.get("/api/projects/pocket-stories/");
 *     await api.post(`/api/runs/${id}/stop/`);
 *
 * Every failure is a `Problem`; `problem.away` says that the server was not reached or not well, so that the
 * same request may be sent again later, while any other problem stands until what was sent is mended.
 */
import { gettext } from "./words.js";

const PATIENCE = 15_000;

export class Problem extends Error {
  /** @param {number} status 0 where no answer came */
  constructor(status, body = {}) {
    super(body.detail || body.title || gettext("The request failed."));
    this.name = "Problem";
    this.status = status;
    this.body = body;
  }

  /** No answer, or one of a server in trouble: worth trying again unchanged. */
  get away() {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }

  get signedOut() {
    return this.status === 401;
  }

  /** @returns {{field: string, message: string}[]} */
  get errors() {
    return this.body.errors ?? [];
  }
}

const cookie = (name) =>
  document.cookie
    .split("; ")
    .find((part) => part.startsWith(`${name}=`))
    ?.slice(name.length + 1);

// Signing out elsewhere rotates the token, so the cookie is read anew each time.
const csrfToken = () =>
  cookie(document.documentElement.dataset.csrfCookie || "csrftoken") ??
  document.querySelector("input[name=csrfmiddlewaretoken]")?.value ??
  "";

/**
 * Send one request.
 *
 * @returns {Promise<any>} the parsed answer, null for 204
 * @throws {Problem}
 */
export async function request(method, path, body, { signal, keepalive = false, patience = PATIENCE } = {}) {
  const limit = AbortSignal.timeout(patience);
  let response;
  try {
    response = await fetch(path, {
      method,
      keepalive,
      credentials: "same-origin",
      signal: signal ? AbortSignal.any([signal, limit]) : limit,
      headers: {
        Accept: "application/json, application/problem+json",
        ...(method === "GET" ? {} : { "X-CSRFToken": csrfToken() }),
        ...(body === undefined ? {} : { "Content-Type": "application/json" }),
      },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Problem(0, { detail: gettext("The server does not answer.") });
  }
  if (response.status === 204) return null;
  const json = /[/+]json/.test(response.headers.get("Content-Type") ?? "");
  let answer = {};
  try {
    answer = json ? await response.json() : { detail: "" };
  } catch {
    throw new Problem(0, { detail: gettext("The server's answer broke off.") });
  }
  if (!response.ok) throw new Problem(response.status, answer);
  if (!json) throw new Problem(401, { detail: gettext("You are signed out.") });
  return answer;
}

export const api = {
  get: (path, options) => request("GET", path, undefined, options),
  post: (path, body = {}, options) => request("POST", path, body, options),
  put: (path, body = {}, options) => request("PUT", path, body, options),
};

/** Fetch a piece of HTML that our own server rendered and sanitised. */
export async function fragment(path, { method = "GET", form } = {}) {
  let response;
  try {
    response = await fetch(path, {
      method,
      credentials: "same-origin",
      signal: AbortSignal.timeout(PATIENCE),
      headers: { "X-Requested-With": "fetch", ...(form ? { "X-CSRFToken": csrfToken() } : {}) },
      body: form ? new URLSearchParams(form) : undefined,
    });
  } catch {
    throw new Problem(0, { detail: gettext("The server does not answer.") });
  }
  if (!response.ok || response.redirected) throw new Problem(response.redirected ? 401 : response.status);
  return response.text();
}
