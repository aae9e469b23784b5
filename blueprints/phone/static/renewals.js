// Conversations to be loaded again: each once for all that was deleted in it within a short time.

import { Refused, Unreachable } from "./api.js";

const WAIT = 400; // milliseconds
const RETRY = 5000; // milliseconds, without a connection

export class Renewals {
  #ids = new Set();
  #timer = null;

  // `load(id)` brings the conversation here.
  constructor(load) {
    this.load = load;
  }

  add(id) {
    this.#ids.add(id);
    this.#schedule(WAIT);
  }

  #schedule(milliseconds) {
    this.#timer ??= setTimeout(() => this.#run(), milliseconds);
  }

  async #run() {
    const ids = [...this.#ids];
    this.#ids.clear();
    this.#timer = null;
    for (const id of ids) {
      try {
        await this.load(id);
      } catch (error) {
        if (!(error instanceof Unreachable || error instanceof Refused)) throw error;
        if (error instanceof Refused) continue; // the next start of the app loads everything
        this.#ids.add(id);
        this.#schedule(RETRY);
      }
    }
  }
}
