// The list of conversations, and the search in it.

import { Refused, Unreachable, call } from "./api.js";
import { avatar, paintAvatar } from "./avatar.js";
import { Chips } from "./chips.js";
import { el, reconcile } from "./dom.js";
import { drafts } from "./drafts.js";
import { openConversationMenu, swipeActions } from "./conversation_menu.js";
import { onHold } from "./menu_gestures.js";
import { outbox } from "./outbox.js";
import { begun, paintRow, put, row, top } from "./row.js";
import { onSwipe } from "./row_swipe.js";
import { state } from "./state.js";
import { briefly, nameOf, peersOf, spoken, titleOf } from "./format.js";
import { t } from "./words.js";

const PAUSE = 250;
const SHORTEST = 2;
const MOST_ASKED = 5;
const TURNS = 10; // requests without a result, before the user is asked whether to continue

export class List {
  #found = []; // messages that the server has found
  #further = null; // the `before` with which the server goes on; null: it has searched everything
  #searched = "";
  #timer = null;
  #cursor = undefined; // of the chosen chip; undefined: nothing was asked for, null: all are here

  constructor() {
    this.chips = new Chips(() => this.#choose());
    this.pane = document.getElementById("list");
    this.rows = document.getElementById("conversations");
    this.hits = document.getElementById("hits");
    this.field = document.getElementById("search");
    this.nothing = document.getElementById("nothing");
    this.further = document.getElementById("further");
    this.current = null;
    for (const type of ["conversations", "contacts", "me"]) state.addEventListener(type, () => this.paint());
    for (const kept of [outbox, drafts]) kept.addEventListener("change", () => this.paint());
    this.field.addEventListener("input", () => this.#typed());
    this.field.addEventListener("keydown", (event) => event.key === "Escape" && this.clear());
    this.further.addEventListener("click", () => this.#goOn());
    this.pane.addEventListener("keydown", (event) => this.#arrows(event));
    onHold(this.rows, ".row", ({ dataset }) => openConversationMenu(dataset.key));
    onSwipe(this.rows, ".row", ({ dataset }) => swipeActions(dataset.key));
    const scroller = document.getElementById("list-scroll");
    scroller.addEventListener("scroll", () => {
      if (scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < 400) this.#more();
    });
  }

  // Mark the conversation that is open beside the list.
  select(id) {
    this.current = id;
    this.paint();
  }

  focusSearch() {
    this.field.focus();
    this.field.select();
  }

  // The next conversation in the list with unread texts, after the one that is open; null if there is none.
  nextUnread() {
    const all = state.sorted();
    const at = all.findIndex((one) => one.id === this.current) + 1;
    return [...all.slice(at), ...all.slice(0, at)].find((one) => one.unread_count && !one.muted && one.id !== this.current) ?? null;
  }

  clear() {
    this.field.value = "";
    this.#typed();
  }

  paint() {
    const wanted = this.field.value.trim();
    this.chips.paint(Boolean(wanted));
    const { chosen } = this.chips;
    const isShown = (one) => (wanted ? matches(one, wanted) : one.id === this.current || chosen.matches(one)); // what is read stays while it is open
    const shown = [...begun(), ...state.sorted()].filter(isShown);
    const isMixed = Boolean(wanted) || !chosen.number;
    reconcile(this.rows, shown, (one) => one.id, row, (node, one) => paintRow(node, one, one.id === this.current, isMixed));
    this.#paintHits(wanted);
    const empty = !shown.length && !this.#found.length;
    this.nothing.hidden = !empty;
    this.nothing.dataset.why = wanted ? "search" : "none";
    this.further.hidden = this.#further === null;
    const [title, hint] = this.#emptiness(wanted);
    this.nothing.querySelector("b").textContent = title;
    this.nothing.querySelector("span").textContent = hint;
  }

  #emptiness(wanted) {
    if (!wanted) return this.chips.chosen.empty;
    if (this.#further !== null) return [t("Nothing found yet"), t("Older messages have not been searched.")];
    return [t("Nothing found"), t("Try another name, number or word.")];
  }

  #paintHits(wanted) {
    const found = wanted.length >= SHORTEST ? this.#found : [];
    this.hits.hidden = !found.length;
    reconcile(this.hits.querySelector("ul"), found, (one) => one.id, hit, (node, one) => paintHit(node, one, wanted));
  }

  #typed() {
    clearTimeout(this.#timer);
    const wanted = this.field.value.trim();
    if (wanted !== this.#searched) {
      this.#found = [];
      this.#further = null;
    }
    this.paint();
    if (wanted.length >= SHORTEST) this.#timer = setTimeout(() => this.#search(wanted), PAUSE);
  }

  async #search(wanted, before = null) {
    const found = before === null ? [] : this.#found;
    try {
      const [page] = await Promise.all([this.#lookBack(wanted, before), before === null && findOlder(wanted)]);
      if (this.field.value.trim() !== wanted) return;
      this.#found = [...found, ...page.items];
      this.#further = page.next_before;
      this.#searched = wanted;
      this.paint();
    } catch (error) {
      if (!(error instanceof Unreachable || error instanceof Refused)) throw error; // show the conversations that are known here
    }
  }

  // One request searches a part of the messages; an empty page may only mean that it is not this part.
  async #lookBack(wanted, before) {
    let page;
    for (let turn = 0; turn < TURNS; turn += 1) {
      const from = before === null ? "" : `&before=${before}`;
      page = await call("GET", `search?q=${encodeURIComponent(wanted)}&limit=50${from}`);
      if (page.items.length || !page.has_more || this.field.value.trim() !== wanted) break;
      before = page.next_before;
    }
    return page;
  }

  async #goOn() {
    this.further.disabled = true;
    await this.#search(this.#searched, this.#further);
    this.further.disabled = false;
  }

  async #more() {
    if (this.loading || this.field.value) return;
    this.loading = true;
    const { query } = this.chips.chosen;
    try {
      if (!query) await state.loadMoreConversations();
      else if (this.#cursor !== null) {
        const cursor = await state.loadConversations(query, this.#cursor);
        if (query === this.chips.chosen.query) this.#cursor = cursor;
      }
    } catch (error) {
      if (!(error instanceof Unreachable || error instanceof Refused)) throw error;
    }
    this.loading = false;
    if (query !== this.chips.chosen.query) this.#more(); // another one was chosen meanwhile
  }

  // The conversations of a chip may not be here yet.
  #choose() {
    this.#cursor = undefined;
    this.paint();
    document.getElementById("list-scroll").scrollTop = 0;
    if (this.chips.chosen.query) this.#more();
  }

  #arrows(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    const stops = [this.field, ...this.pane.querySelectorAll("a.row-link")];
    const next = stops[stops.indexOf(document.activeElement) + step];
    if (!next || !stops.includes(document.activeElement)) return;
    event.preventDefault();
    next.focus();
  }
}

function hit() {
  const preview = el("span", { class: "row-preview", dir: "auto" });
  return el("li", { class: "row" }, el("a", { class: "row-link" }, avatar(), top(), preview));
}

function paintHit(node, message, wanted) {
  const [link] = node.children;
  const known = state.conversations.get(message.conversation_id);
  const peers = known ? peersOf(known) : message.direction === "in" ? [message.from] : message.to;
  link.href = `#/c/${message.conversation_id}/${message.seq}`;
  paintAvatar(link.querySelector(".avatar"), peers);
  put(link, ".row-name", titleOf(peers));
  put(link, ".row-time", briefly(message.created_at));
  link.querySelector(".row-preview").replaceChildren(...marked(around(message.text, wanted), wanted));
}

// Conversations that are not in the list yet: with these digits, or with contacts of such a name.
async function findOlder(wanted) {
  const digits = wanted.replace(/[\s().+-]/g, "");
  const named = [...state.contacts].filter(([, name]) => name.toLowerCase().includes(wanted.toLowerCase())).map(([number]) => number);
  const known = new Set(state.sorted().flatMap(peersOf));
  const asked = [...named.filter((number) => !known.has(number)).slice(0, MOST_ASKED), ...(/^\d{3,}$/.test(digits) ? [digits] : [])];
  await Promise.all(asked.map((number) => state.loadConversations(`q=${encodeURIComponent(number)}`)));
}

// The part of a text in which the wanted words stand.
function around(text, wanted) {
  const at = text.search(pattern(wanted));
  return at > 30 ? `… ${text.slice(at - 24)}` : text;
}

function marked(text, wanted) {
  return text.split(pattern(wanted)).map((part, at) => (at % 2 ? el("mark", { text: part }) : part));
}

function pattern(wanted) {
  const words = wanted.split(/\s+/).map((word) => word.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&"));
  return new RegExp(`(${words.join("|")})`, "iu");
}

function matches(conversation, wanted) {
  if (!wanted) return true;
  const digits = wanted.replace(/[\s().-]/g, "");
  return peersOf(conversation).some((peer) => {
    const named = `${nameOf(peer)} ${spoken(peer)}`.toLowerCase().includes(wanted.toLowerCase());
    return named || (/^\+?\d{2,}$/.test(digits) && peer.includes(digits));
  });
}
