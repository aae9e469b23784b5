// Calls to /api/v1. Throws `Refused` with the server's reason, `Unreachable` without an answer.

import { reasonFor } from "./reasons.js";
import { t } from "./words.js";

const BASE = "/api/v1/";
const PATIENCE = 25_000;
let token = null;
let signedOut = () => {};

export class Refused extends Error {
  constructor(status, problem) {
    super(reasonFor(problem?.code, problem?.detail) ?? t("The server answered {status}.", { status: String(status) }));
    Object.assign(this, { status, code: problem?.code ?? "", field: problem?.field ?? "" });
  }
}

export class Unreachable extends Error {}

// The sentence that tells the user why a call failed. Throws any other error again: it is a fault of ours.
export function failureReason(error) {
  if (error instanceof Refused) return error.message;
  if (error instanceof Unreachable) return t("There is no connection. Try again later.");
  throw error;
}

// Set the token; `whenRefused` is called when the server refuses it.
export function use(newToken, whenRefused) {
  token = newToken;
  signedOut = whenRefused;
}

export async function call(method, path, { body, file, signal, patience = PATIENCE } = {}) {
  const answer = await ask(method, path, { body, file, signal: anyOf(signal, AbortSignal.timeout(patience)) });
  if (answer.status === 204) return null;
  return answer.json();
}

// The answer of a successful request.
export async function ask(method, path, { body, file, signal } = {}) {
  const headers = {};
  if (token) headers["Authorization"] = `Bearer ${token}`;
  if (body) headers["Content-Type"] = "application/json";
  let answer;
  try {
    answer = await fetch(BASE + path, { method, headers, signal, cache: "no-store", body: file ?? (body && JSON.stringify(body)) });
  } catch (error) {
    throw new Unreachable(error.message);
  }
  if (answer.ok) return answer;
  if (answer.status >= 500 || answer.status === 429) throw new Unreachable(`The server answered ${answer.status}.`);
  const problem = await answer.json().catch(() => null);
  if (answer.status === 401 && token) signedOut();
  throw new Refused(answer.status, problem);
}

// The path of a file of ours: its address may have another host name than this page.
export function filePath(url) {
  const { pathname, search } = new URL(url, location.href);
  return pathname + search;
}

function anyOf(...signals) {
  const given = signals.filter(Boolean);
  if (given.length < 2) return given[0];
  const both = new AbortController();
  for (const signal of given) signal.addEventListener("abort", () => both.abort(), { once: true });
  return both.signal;
}
