// Live updates: a stream of server-sent events, or long polling where a proxy buffers the stream.
// Continues from the last event after a lost connection.

import { Refused, Unreachable, ask, call } from "./api.js";
import { state } from "./state.js";

const SILENCE = 40_000; // the server says something every 15 seconds
const QUIET = 18_000;
const POLLS = 10;
const FIRST_BYTES = 8_000;
const LONGEST_PAUSE = 15_000;

export class Live {
  #since = null;
  #polls = 0; // how often to ask before a stream is tried again
  #heardAt = 0;
  #stream = null;
  #stopped = new AbortController();
  #wake = () => {};

  // `connected` is called whenever the server is reachable again.
  constructor(connected) {
    this.connected = connected;
    addEventListener("online", () => this.hurry());
    addEventListener("offline", () => this.#stream?.abort());
    document.addEventListener("visibilitychange", () => document.hidden || this.hurry());
  }

  async run() {
    let pause = 500;
    while (!this.#stopped.signal.aborted) {
      try {
        if (this.#since === null) this.#since = await state.refresh();
        if (this.#polls > 0) await this.#poll();
        else {
          await this.#listen(() => (pause = 500));
          await this.#rest(1000); // the server restarts, or other windows have newer streams
        }
      } catch (error) {
        if (error instanceof Refused && error.status === 401) return;
        if (!(error instanceof Unreachable || error instanceof Refused)) throw error;
        if (this.#stopped.signal.aborted) return;
        state.setConnected(false);
        await this.#rest(pause * (0.75 + Math.random() / 2));
        pause = Math.min(pause * 2, LONGEST_PAUSE);
      }
    }
  }

  stop() {
    this.#stopped.abort();
    this.#wake();
  }

  // The network may be back: try at once, and reconnect if the current stream is silent.
  hurry() {
    this.#wake();
    if (this.#stream && Date.now() - this.#heardAt > QUIET) this.#stream.abort();
  }

  #rest(milliseconds) {
    return new Promise((resolve) => {
      this.#wake = resolve;
      setTimeout(resolve, milliseconds);
    });
  }

  #isThere() {
    state.setConnected(true);
    this.connected();
  }

  // No EventSource: it cannot send the token, and does not detect a dead connection.
  async #listen(opened) {
    const stream = (this.#stream = new AbortController());
    this.#stopped.signal.addEventListener("abort", () => stream.abort(), { once: true });
    let heard = false;
    let tooLong = false;
    const giveUp = () => {
      tooLong = true;
      stream.abort();
    };
    let timer = setTimeout(giveUp, FIRST_BYTES);
    try {
      const answer = await ask("GET", `events?since=${this.#since}`, { signal: stream.signal });
      for await (const block of blocks(answer.body)) {
        this.#heardAt = Date.now();
        clearTimeout(timer);
        timer = setTimeout(giveUp, SILENCE);
        if (!heard) this.#isThere();
        heard = true;
        opened();
        await this.#take(read(block));
      }
    } catch (error) {
      if (tooLong && !heard) this.#polls = POLLS;
      throw error;
    } finally {
      clearTimeout(timer);
      this.#stream = null;
      stream.abort();
    }
  }

  async #poll() {
    const news = await call("GET", `sync?since=${this.#since}&timeout=25`, {
      signal: this.#stopped.signal,
      patience: SILENCE,
    });
    this.#polls -= 1;
    this.#isThere();
    for (const event of news.events) await state.happened(event);
    this.#since = news.reset ? await state.startOver() : news.next;
  }

  async #take({ id, event, data }) {
    if (event === "reset") this.#since = await state.startOver();
    else if (data) await state.happened(JSON.parse(data));
    if (id && event !== "reset") this.#since = id;
  }
}

// The blocks of a stream, which are separated by empty lines.
async function* blocks(body) {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read().catch((error) => {
      throw new Unreachable(error.message);
    });
    if (done) return;
    const parts = (rest + decoder.decode(value, { stream: true })).split("\n\n");
    rest = parts.pop();
    yield* parts;
  }
}

// One event of a stream: {id, event, data}, as far as it has them.
function read(block) {
  const fields = {};
  for (const line of block.split("\n")) {
    const at = line.indexOf(":");
    if (at > 0) fields[line.slice(0, at)] = line.slice(at + 1).trimStart();
  }
  return fields;
}
