// Drafts: what is written in a conversation and not sent yet, stored on this device.

import * as db from "./db.js";

const PREFIX = "draft ";
const PAUSE = 400; // milliseconds without a key press, before a draft is stored
const EMPTY = { text: "", files: [] };

// The key of a conversation: our number and theirs.
export const draftKey = (number, peers) => `${number} ${[...peers].sort().join()}`;

class Drafts extends EventTarget {
  #drafts = new Map(); // key -> {text, files: [{blob, name}]}
  #waiting = new Map(); // key -> timer: changed, and not stored yet
  #windows = new BroadcastChannel("textbridge-drafts");
  #isOver = false;

  async recall() {
    for (const { key, value } of await db.startingWith(PREFIX)) this.#drafts.set(key.slice(PREFIX.length), value);
    this.#windows.onmessage = ({ data }) => this.#read(data);
    this.#changed();
  }

  get(key) {
    return this.#drafts.get(key) ?? EMPTY;
  }

  // [{number, peers, text, files}]
  all() {
    return [...this.#drafts].map(([key, draft]) => {
      const [number, peers] = key.split(" ");
      return { number, peers: peers.split(","), ...draft };
    });
  }

  // The device forgets everything: nothing is stored any more, also not when the page is left.
  stop() {
    this.#isOver = true;
  }

  // Keep a draft, and store it soon; a draft without text and files is deleted.
  set(key, { text, files }) {
    this.hold(key, { text, files });
    clearTimeout(this.#waiting.get(key));
    this.#waiting.set(key, setTimeout(() => this.store(key).catch(() => {}), PAUSE)); // without space it is kept while the app runs
  }

  // Put a text and files behind those of a draft.
  add(key, { text, files }) {
    const before = this.get(key);
    this.set(key, { text: [before.text, text].filter(Boolean).join("\n"), files: [...before.files, ...files] });
  }

  // Keep a draft while the app runs; what is stored stays as it is.
  hold(key, { text, files }) {
    if (text.trim() || files.length) this.#drafts.set(key, { text, files });
    else this.#drafts.delete(key);
  }

  // Store a draft as it is now, or delete it. Throws `DOMException` if the browser has no space left.
  async store(key) {
    clearTimeout(this.#waiting.get(key));
    this.#waiting.delete(key);
    if (this.#isOver) return;
    const draft = this.#drafts.get(key);
    try {
      await (draft ? db.set(PREFIX + key, draft) : db.remove("settings", PREFIX + key));
    } finally {
      this.#changed(); // only now: what the list shows is still there after a reload
    }
    this.#windows.postMessage(key);
  }

  // Store all that is not stored yet.
  flush() {
    return Promise.all([...this.#waiting.keys()].map((key) => this.store(key)));
  }

  // Another window has changed a draft.
  async #read(key) {
    const draft = await db.get(PREFIX + key);
    if (draft) this.#drafts.set(key, draft);
    else this.#drafts.delete(key);
    this.#changed();
  }

  #changed() {
    this.dispatchEvent(new CustomEvent("change"));
  }
}

export const drafts = new Drafts();
