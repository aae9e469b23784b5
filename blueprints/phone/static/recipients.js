// The field “To” of a new conversation: those who are chosen as chips, and what is being typed.

import { el, icon, reconcile, say } from "./dom.js";
import { state } from "./state.js";
import { nameOf, plainNumber } from "./format.js";
import { t } from "./words.js";

export class Recipients {
  numbers = [];

  // `changed()` is called after every change.
  constructor(changed) {
    this.changed = changed;
    this.list = el("ul", { class: "recipients", "aria-label": t("Chosen"), hidden: true });
    this.field = el("input", {
      type: "text", id: "to", class: "to", autocomplete: "off", autocapitalize: "off", spellcheck: "false", enterkeyhint: "go",
      placeholder: t("Name or number"), "aria-describedby": "to-problem",
    });
    this.node = el("div", { class: "recipients-box" }, this.list, this.field);
    this.field.addEventListener("input", () => this.#typed());
    this.field.addEventListener("keydown", (event) => {
      if (event.key === "Backspace" && !this.field.value && this.numbers.length) this.remove(this.numbers.at(-1));
    });
  }

  get typed() {
    return this.field.value.trim();
  }

  clear() {
    this.numbers = [];
    this.field.value = "";
    this.#paint();
  }

  has(number) {
    return this.numbers.includes(number);
  }

  add(number) {
    if (!this.has(number)) {
      this.numbers = [...this.numbers, number];
      say(t("{name} added.", { name: nameOf(number) }));
    }
    this.field.value = "";
    this.#paint();
    this.changed();
  }

  remove(number) {
    this.numbers = this.numbers.filter((one) => one !== number);
    say(t("{name} removed.", { name: nameOf(number) }));
    this.#paint();
    this.changed();
    this.field.focus({ preventScroll: true });
  }

  // The number that is typed, or of the contact with exactly this name; null if it is neither.
  resolve(written) {
    const named = [...state.contacts].find(([, name]) => name.toLowerCase() === written.toLowerCase());
    return plainNumber(written) ?? named?.[0] ?? null;
  }

  // What stands before a comma is chosen, if it is understood.
  #typed() {
    const parts = this.field.value.split(/[,;]/);
    const last = parts.pop();
    const rest = parts.map((part) => part.trim()).filter(Boolean);
    if (rest.length && rest.every((part) => this.resolve(part))) {
      for (const part of rest) this.add(this.resolve(part));
      this.field.value = last.trimStart();
    }
    this.changed();
  }

  #paint() {
    this.list.hidden = !this.numbers.length;
    this.field.placeholder = this.numbers.length ? "" : t("Name or number");
    reconcile(this.list, this.numbers, (number) => number, (number) => this.#chip(number));
  }

  #chip(number) {
    const name = nameOf(number);
    return el(
      "li",
      {},
      el("button", { type: "button", class: "recipient", "aria-label": t("Remove {name}", { name }), title: t("Remove"), on: { click: () => this.remove(number) } }, el("bdi", { text: name }), icon("close")),
    );
  }
}
