// The button that leads back to the list; it shows how many texts wait there.

import { el, icon } from "./dom.js";
import { state } from "./state.js";

const LABEL = "Back to the conversations";

export class BackButton {
  constructor(back) {
    this.count = el("span", { class: "count back-count", "aria-hidden": "true", hidden: true });
    this.node = el("button", { type: "button", class: "icon-button back", title: LABEL, on: { click: back } }, icon("back"), this.count);
    this.paint();
  }

  // `id` is the conversation on the screen: its texts do not wait, and those of muted ones may.
  paint(id = null) {
    const others = state.sorted().filter((one) => one.id !== id && !one.muted);
    const unread = others.reduce((sum, one) => sum + one.unread_count, 0);
    this.count.hidden = !unread;
    this.count.textContent = unread > 99 ? "99+" : String(unread);
    this.node.setAttribute("aria-label", unread ? `${LABEL}, ${unread} unread` : LABEL);
  }
}
