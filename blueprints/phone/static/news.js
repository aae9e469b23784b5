// What the user notices of a text that comes in while the app is open: announced to screen readers,
// a note with the way to its conversation, and a sound.

import { el, say } from "./dom.js";
import { chime } from "./sound.js";
import { state } from "./state.js";
import { mediaWord, nameOf, peersOf, titleOf } from "./format.js";
import { t } from "./words.js";

const SHOWN = 7000; // milliseconds

export class News {
  #timer = null;

  // `openId()` is the conversation on the screen, or null.
  constructor(openId) {
    this.openId = openId;
    this.name = el("bdi", { class: "toast-name" });
    this.words = el("span", { class: "toast-words", dir: "auto" });
    this.note = el("a", { class: "toast", href: "#/", hidden: true, on: { click: () => this.hide() } }, this.name, this.words);
    document.getElementById("talk").append(this.note);
    for (const type of ["mouseenter", "focus"]) this.note.addEventListener(type, () => clearTimeout(this.#timer));
    for (const type of ["mouseleave", "blur"]) this.note.addEventListener(type, () => this.#hideSoon());
    state.addEventListener("news", ({ detail }) => this.#take(detail.message));
    state.addEventListener("conversations", () => this.#isRead() && this.hide());
  }

  #take(message) {
    const known = state.conversations.get(message.conversation_id);
    const isHere = message.conversation_id === this.openId();
    if ((known?.muted && !isHere) || known?.blocked) return;
    const name = known?.participants.length ? nameOf(message.from) : titleOf(known ? peersOf(known) : [message.from]);
    const words = message.text || mediaWord(message.media);
    say(t("{name}: {text}", { name, text: words }));
    if (isHere && !document.hidden) return;
    chime();
    if (!isHere && document.documentElement.dataset.place === "talk") this.#show(message.conversation_id, name, words);
  }

  #show(id, name, words) {
    this.id = id;
    this.name.textContent = name;
    this.words.textContent = words;
    this.note.href = `#/c/${id}`;
    this.note.hidden = false;
    this.#hideSoon();
  }

  #hideSoon() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.hide(), SHOWN);
  }

  hide() {
    clearTimeout(this.#timer);
    if (this.note.hidden) return;
    this.note.hidden = true;
    this.id = null;
  }

  // It was read on another device.
  #isRead() {
    return this.id && !state.conversations.get(this.id)?.unread_count;
  }
}
