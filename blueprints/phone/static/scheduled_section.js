// Scheduled texts of a conversation: a section at its end.

import { bubble, paintBubble } from "./bubble.js";
import { el, reconcile } from "./dom.js";
import { scheduledRows } from "./timeline.js";
import { timeZone } from "./format.js";
import { many, t } from "./words.js";

const SHOWN = 2; // of more, the next ones: the conversation stays in sight

export class ScheduledSection {
  #all = false;

  constructor() {
    this.title = el("h2", { class: "later-title", id: "later-title" });
    this.list = el("div", { class: "log" });
    this.more = el("button", { type: "button", class: "small-button later-more", on: { click: () => this.#showAll() } });
    this.node = el("section", { class: "later", "aria-labelledby": "later-title", hidden: true }, this.title, this.list, this.more);
  }

  // Another conversation is shown.
  begin() {
    this.#all = false;
  }

  paint(talk) {
    this.talk = talk;
    const rows = scheduledRows(talk);
    this.node.hidden = !rows.length;
    this.title.textContent = t("Scheduled · {zone}", { zone: timeZone() });
    this.more.hidden = this.#all || rows.length <= SHOWN;
    this.more.textContent = many(rows.length, "Show all {count}", "Show all {count}");
    reconcile(this.list, this.#all ? rows : rows.slice(0, SHOWN), (row) => row.key, bubble, paintBubble);
  }

  #showAll() {
    this.#all = true;
    this.paint(this.talk);
    this.talk.focusMessages();
  }
}
