// Chips above the list: all conversations, those with unread texts, or those of one number.

import { el, reconcile } from "./dom.js";
import { state } from "./state.js";
import { atMost99, unreadOf } from "./unread.js";
import { ownName } from "./format.js";

const ALL = { key: "all", label: "All", query: null, matches: () => true, empty: ["No conversations yet", "Texts to your number appear here. Or write the first one."] };
const UNREAD = { key: "unread", label: "Unread", query: "unread=1", matches: (one) => one.unread_count > 0, empty: ["Nothing unread", "You have read everything."] };

export class Chips {
  chosen = ALL;

  // `chose()` is called when another one is chosen.
  constructor(chose) {
    this.chose = chose;
    this.node = el("div", { class: "chips", role: "group", "aria-label": "Show", hidden: true });
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
    if (unread) node.setAttribute("aria-label", `${one.label}, ${one === UNREAD ? unread : `${unread} unread`}`);
    else node.removeAttribute("aria-label");
    node.onclick = () => {
      this.chosen = one;
      node.scrollIntoView({ block: "nearest", inline: "nearest" });
      this.chose();
    };
  }
}

function ofNumber(number) {
  const label = ownName(number);
  return {
    key: number,
    number,
    label,
    query: `number=${encodeURIComponent(number)}`,
    matches: (one) => one.number === number,
    empty: ["No conversations yet", `Texts to ${label} appear here.`],
  };
}
