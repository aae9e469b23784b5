// Calls to this server, as JSON; throws `Refused` with the server's reason.

export class Refused extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

export async function call(method, path, { token, body, file, signal } = {}) {
  const headers = {};
  if (token) headers["Authorization"] = `Bearer ${token}`;
  if (body) headers["Content-Type"] = "application/json";
  const answer = await fetch(path, { method, headers, signal, body: file ?? (body && JSON.stringify(body)) });
  const said = answer.headers.get("Content-Type") ?? "";
  const content = said.includes("json") ? await answer.json() : null;
  if (!answer.ok) throw new Refused(answer.status, content?.detail ?? `The server answered ${answer.status}.`);
  return content;
}

// An id of our own; randomUUID exists only on https and on this machine.
export function freshId() {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return "sandbox-" + Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

// Asks again and again for what is new, until stopped. `ask(seconds)` waits on the server's side;
// after a failure it does not wait, so that a recovery is noticed soon.
export async function follow(ask, signal, silent) {
  let seconds = 25;
  while (!signal.aborted) {
    try {
      await ask(seconds);
      seconds = 25;
      silent(false);
    } catch (error) {
      if (signal.aborted) return;
      seconds = 0;
      silent(true, error);
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
  }
}
