// The button that leads back to the list; it shows how many unread texts are there.

import { el, icon } from "./dom.js";
import { atMost99, unreadOf } from "./unread.js";
import { many, t } from "./words.js";

const LABEL = t("Back to the conversations");

export class BackButton {
  constructor(back) {
    this.count = el("span", { class: "count back-count", "aria-hidden": "true", hidden: true });
    this.node = el("button", { type: "button", class: "icon-button back", title: LABEL, on: { click: back } }, icon("back"), this.count);
    this.paint();
  }

  // `id` is the conversation on the screen: its texts do not count.
  paint(id = null) {
    const unread = unreadOf((one) => one.id !== id);
    this.count.hidden = !unread;
    this.count.textContent = atMost99(unread);
    this.node.setAttribute("aria-label", unread ? many(unread, "Back to the conversations, {count} unread", "Back to the conversations, {count} unread") : LABEL);
  }
}
