// The outbox: messages are stored on this device until the server has them. Each has an id of ours,
// by which the server detects a repeat: sent again and again, it is delivered once.

import { Refused, Unreachable, call } from "./api.js";
import * as db from "./db.js";
import { state } from "./state.js";
import { t } from "./words.js";

const AGAIN = 20_000;

class Outbox extends EventTarget {
  entries = [];
  #busy = null;
  #again = false;
  #timer = null;

  // Load the stored messages; those written meanwhile are not among them yet.
  async recall() {
    const before = new Set(this.entries);
    const kept = await db.all("outbox");
    const ids = new Set(kept.map((entry) => entry.client_id));
    const since = this.entries.filter((entry) => !before.has(entry) && !ids.has(entry.client_id));
    this.entries = [...kept, ...since].sort((one, other) => one.created_at - other.created_at);
    this.#changed();
  }

  // {number, peers, text, files: [{blob, name}], send_at}; resolves once it is on disk.
  async add(written) {
    const entry = { ...written, client_id: freshId(), media_ids: [], state: "waiting", reason: "", created_at: Date.now() };
    await db.put("outbox", entry);
    if (!this.#find(entry.client_id)) this.entries.push(entry);
    this.#changed();
    this.flush();
    return entry;
  }

  // Try again to send one that was refused, with another `send_at` if `changes` has one.
  async retry(clientId, changes = {}) {
    await this.#put(clientId, { ...changes, state: "waiting", reason: "" });
    this.flush();
  }

  async drop(clientId) {
    this.entries = this.entries.filter((entry) => entry.client_id !== clientId);
    await db.remove("outbox", clientId);
    this.#changed();
  }

  // Send the waiting messages in order; retry later when the server cannot be reached.
  flush() {
    this.#again = true; // a run that is just ending may have missed the newest one
    this.#busy ??= alone(() => this.#sendAll()).finally(() => {
      this.#busy = null;
      if (this.#again) this.flush();
    });
    return this.#busy;
  }

  async #sendAll() {
    clearTimeout(this.#timer);
    for (;;) {
      this.#again = false;
      const entry = this.entries.find((one) => one.state === "waiting");
      if (!entry) return;
      try {
        await this.#send(entry);
      } catch (error) {
        if (error instanceof Refused) {
          if (error.status === 401) return;
          await this.#put(entry.client_id, { state: "refused", reason: reasonOf(error), code: error.code });
        } else if (error instanceof Unreachable) {
          this.#timer = setTimeout(() => this.flush(), AGAIN);
          return;
        } else throw error;
      }
    }
  }

  async #send(entry) {
    const ids = await this.#upload(entry);
    let message;
    try {
      message = await this.#post(entry, ids);
    } catch (error) {
      if (error.code !== "unknown_file") throw error;
      await this.#put(entry.client_id, { media_ids: [] }); // it waited for days: upload it anew
      message = await this.#post(entry, await this.#upload(this.#find(entry.client_id)));
    }
    await state.take(message);
    await this.drop(entry.client_id);
    this.dispatchEvent(new CustomEvent("sent", { detail: { entry, message } }));
  }

  #post({ number, peers, text, client_id, send_at }, media_ids) {
    return call("POST", "messages", { body: { from: number, to: peers, text, media_ids, client_id, send_at } });
  }

  async #upload(entry) {
    const ids = [...entry.media_ids];
    for (const { blob, name } of entry.files.slice(ids.length)) {
      const file = new FormData();
      file.append("file", blob, name);
      ids.push((await call("POST", "media", { file, patience: 120_000 })).id);
      await this.#put(entry.client_id, { media_ids: [...ids] });
    }
    return ids;
  }

  #find(clientId) {
    return this.entries.find((entry) => entry.client_id === clientId);
  }

  async #put(clientId, changes) {
    const entry = Object.assign(this.#find(clientId), changes);
    await db.put("outbox", entry);
    this.#changed();
  }

  #changed() {
    this.dispatchEvent(new CustomEvent("change"));
  }
}

// A scheduled text may reach the server only when its time is over: then the user decides.
function reasonOf(error) {
  return error.code === "send_at_past" ? t("Its time was over before it could be scheduled, so it was not sent.") : error.message;
}

// Two windows of the app share one outbox: only one sends at a time.
async function alone(work) {
  if (!navigator.locks) return work();
  return navigator.locks.request("textbridge-outbox", async () => {
    await outbox.recall(); // the other window may have sent some of it
    return work();
  });
}

// randomUUID exists only on https and on this machine.
function freshId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return "phone-" + Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export const outbox = new Outbox();
