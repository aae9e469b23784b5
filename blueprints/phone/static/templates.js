// Message templates: a list above the field, open while its text begins with “/”.

import { el, reconcile, say } from "./dom.js";
import { many, t } from "./words.js";

const EDGE = 6; // pixels around the options

export class TemplateList {
  #items = null; // null: not asked for since the list was closed
  #shown = [];
  #active = 0;
  #round = 0;
  #dismissed = false;

  // `load()` resolves to the templates of what is written now; `choose(text)` puts one into the field.
  constructor(field, load, choose) {
    Object.assign(this, { field, load, choose });
    this.node = el("ul", { class: "templates", id: "templates", role: "listbox", tabindex: "0", "aria-label": t("Templates"), hidden: true });
    this.node.addEventListener("mousedown", (event) => event.preventDefault()); // the field keeps the focus
    for (const [name, value] of Object.entries({ "aria-haspopup": "listbox", "aria-autocomplete": "list", "aria-controls": "templates" })) {
      field.setAttribute(name, value);
    }
    field.addEventListener("input", () => this.#update());
    field.addEventListener("focus", () => this.#update());
    field.addEventListener("blur", () => this.close());
  }

  close() {
    this.#items = null;
    this.#round += 1;
    this.#show([]);
  }

  // Whether a key was meant for the list.
  key(event) {
    if (this.node.hidden || event.isComposing) return false;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) this.#move(this.#active + step);
    else if (event.key === "Enter" && !event.shiftKey) this.#take(this.#shown[this.#active]);
    else if (event.key === "Escape") {
      this.#dismissed = true;
      this.close();
    } else return false;
    event.preventDefault();
    return true;
  }

  async #update() {
    const begins = this.field.value.startsWith("/");
    if (!begins) this.#dismissed = false;
    if (!begins || this.#dismissed) return this.close();
    if (!this.#items) {
      const round = (this.#round += 1);
      this.#items = [];
      const items = await this.load();
      if (round !== this.#round) return undefined;
      this.#items = items;
    }
    const wanted = this.field.value.slice(1).trim().toLowerCase();
    return this.#show(this.#items.filter(({ name, filled }) => `${name}\n${filled}`.toLowerCase().includes(wanted)));
  }

  #show(items) {
    if (items.length && items.length !== this.#shown.length) say(many(items.length, "{count} template", "{count} templates"));
    this.#shown = items;
    this.node.hidden = !items.length;
    reconcile(this.node, items, (one) => one.name, (one) => this.#option(one), paint);
    if (items.length) this.#move(0);
    else this.field.removeAttribute("aria-activedescendant");
  }

  #option(item) {
    return el("li", { role: "option", class: "template", on: { click: () => this.#take(this.#shown.find((one) => one.name === item.name)) } }, el("b", { dir: "auto" }), el("span", { dir: "auto" }));
  }

  #move(to) {
    const options = [...this.node.children];
    this.#active = (to + options.length) % options.length;
    options.forEach((option, position) => {
      option.id = `template-${position}`;
      option.setAttribute("aria-selected", String(position === this.#active));
    });
    this.#scrollTo(options[this.#active]);
    this.field.setAttribute("aria-activedescendant", `template-${this.#active}`);
  }

  // Not scrollIntoView: it would also scroll what is around, where the conversation slides in.
  #scrollTo({ offsetTop, offsetHeight }) {
    const least = offsetTop + offsetHeight + EDGE - this.node.clientHeight;
    this.node.scrollTop = Math.min(Math.max(this.node.scrollTop, least), offsetTop - EDGE);
  }

  #take({ filled }) {
    this.#dismissed = true; // also where its text begins with “/”
    this.close();
    this.choose(filled);
  }
}

function paint(node, { name, filled }) {
  node.children[0].textContent = name;
  node.children[1].textContent = filled;
}
