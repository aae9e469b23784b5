// Chips above the list: all conversations, those with unread texts, or those of one number.

import { el, reconcile } from "./dom.js";
import { state } from "./state.js";
import { atMost99, unreadOf } from "./unread.js";
import { ownName } from "./format.js";
import { many, t } from "./words.js";

const ALL = { key: "all", label: t("All"), query: null, matches: () => true, empty: [t("No conversations yet"), t("Texts to your number appear here. Or write the first one.")] };
const UNREAD = { key: "unread", label: t("Unread"), query: "unread=1", matches: (one) => one.unread_count > 0, empty: [t("Nothing unread"), t("You have read everything.")] };

export class Chips {
  chosen = ALL;

  // `chose()` is called when another one is chosen.
  constructor(chose) {
    this.chose = chose;
    this.node = el("div", { class: "chips", role: "group", "aria-label": t("Show"), hidden: true });
    document.querySelector(".search").after(this.node);
  }

  // Nothing to choose with one number, and none while one searches.
  paint(isSearching) {
    const numbers = state.me?.numbers ?? [];
    this.node.hidden = numbers.length < 2 || isSearching;
    const chips = numbers.length < 2 ? [ALL] : [ALL, UNREAD, ...numbers.map(({ number }) => ofNumber(number))];
    this.chosen = chips.find((one) => one.key === this.chosen.key) ?? ALL;
    reconcile(this.node, chips, (one) => one.key, () => this.#chip(), (node, one) => this.#paintChip(node, one));
  }

  #chip() {
    return el("button", { type: "button", class: "chip" }, el("span"), el("b"));
  }

  #paintChip(node, one) {
    const [label, count] = node.children;
    const unread = one === ALL ? 0 : unreadOf(one.matches);
    label.textContent = one.label;
    count.hidden = !unread;
    count.textContent = atMost99(unread);
    node.setAttribute("aria-pressed", String(one.key === this.chosen.key));
    if (unread) node.setAttribute("aria-label", labelWithCount(one, unread));
    else node.removeAttribute("aria-label");
    node.onclick = () => {
      this.chosen = one;
      node.scrollIntoView({ block: "nearest", inline: "nearest" });
      this.chose();
    };
  }
}

function labelWithCount({ label, key }, count) {
  if (key === "unread") return t("{label}, {count}", { label, count });
  return many(count, "{label}, {count} unread", "{label}, {count} unread", { label });
}

function ofNumber(number) {
  const label = ownName(number);
  return {
    key: number,
    number,
    label,
    query: `number=${encodeURIComponent(number)}`,
    matches: (one) => one.number === number,
    empty: [t("No conversations yet"), t("Texts to {number} appear here.", { number: label })],
  };
}
