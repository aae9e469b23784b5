// A row of the list: one conversation, or what was begun to be one.

import { avatar, paintAvatar } from "./avatar.js";
import { el, icon } from "./dom.js";
import { draftKey, drafts } from "./drafts.js";
import { outbox } from "./outbox.js";
import { stateOf } from "./scheduled_texts.js";
import { state } from "./state.js";
import { atMost99 } from "./unread.js";
import { briefly, fullTime, ownName, peersOf, sameMembers, summaryOf, titleOf } from "./format.js";
import { many, t } from "./words.js";

export function row() {
  const later = el("span", { class: "row-later", title: t("Scheduled"), hidden: true }, icon("clock"), el("span", { class: "hidden", text: t("Scheduled") }));
  const badge = el("span", { class: "count" }, el("b", { "aria-hidden": "true" }), el("span", { class: "hidden" }));
  return el(
    "li",
    { class: "row" },
    el(
      "a",
      { class: "row-link" },
      avatar(),
      top(later),
      own(),
      el("span", { class: "row-preview", dir: "auto" }),
      el("span", { class: "row-end" }, mark("pinned", "pin", t("Pinned")), mark("muted", "mute", t("Muted")), badge),
    ),
  );
}

function mark(name, drawing, words) {
  return el("span", { class: `row-mark row-${name}`, title: words, hidden: true }, icon(drawing), el("span", { class: "hidden", text: words }));
}

// The first line of a row: who, when.
export function top(later) {
  const parts = [el("bdi", { class: "row-name" }), later, el("span", { class: "row-time" })];
  return el("span", { class: "row-top" }, parts);
}

// In the second line: by which number of ours.
function own() {
  return el("span", { class: "row-own", dir: "auto" });
}

export function put(node, selector, text) {
  const place = node.querySelector(selector);
  if (place.textContent !== text) place.textContent = text;
}

// Drafts to people without a conversation, as the list wants conversations.
export function begun() {
  const known = new Set([...state.conversations.values()].map((one) => draftKey(one.number, peersOf(one))));
  return drafts
    .all()
    .filter(({ number, peers }) => !known.has(draftKey(number, peers)))
    .map(({ number, peers }) => ({
      id: draftKey(number, peers),
      href: `#/to/${number}/${peers.map(encodeURIComponent).join()}`,
      number,
      peer: peers[0],
      participants: peers.length > 1 ? peers : [],
      last_message: null,
      unread_count: 0,
    }));
}

// `isMixed`: conversations with several numbers of ours are shown.
export function paintRow(node, one, isCurrent, isMixed) {
  const [link] = node.children;
  const peers = peersOf(one);
  const ours = isMixed && state.me?.numbers.length > 1 ? ownName(one.number) : "";
  link.href = one.href ?? `#/c/${one.id}`;
  link.setAttribute("aria-current", isCurrent ? "page" : "false");
  node.classList.toggle("unread", one.unread_count > 0);
  paintAvatar(link.querySelector(".avatar"), peers);
  put(link, ".row-name", titleOf(peers));
  put(link, ".row-time", one.last_message ? briefly(one.last_message.created_at) : "");
  link.querySelector(".row-time").title = one.last_message ? fullTime(one.last_message.created_at) : "";
  put(link, ".row-own", ours);
  link.querySelector(".row-own").hidden = !ours;
  for (const name of ["pinned", "muted"]) link.querySelector(`.row-${name}`).hidden = !one[name];
  const badge = link.querySelector(".count");
  badge.hidden = !one.unread_count;
  put(badge, "b", atMost99(one.unread_count));
  put(badge, ".hidden", many(one.unread_count, "{count} unread", "{count} unread"));
  link.querySelector(".row-later").hidden = !state.schedule.of(one.id).length;
  paintPreview(link.querySelector(".row-preview"), one, isCurrent);
}

// What waits on this device comes before the last message.
function paintPreview(node, one, isCurrent) {
  const peers = peersOf(one);
  const unsent = outbox.entries.filter((entry) => entry.number === one.number && sameMembers(entry.peers, peers));
  const refused = unsent.some((entry) => entry.state === "refused");
  const isOpen = isCurrent && !one.href;
  const draft = isOpen || unsent.length ? "" : summaryOf(drafts.get(draftKey(one.number, peers)));
  const trouble = one.last_message && ["failed", "unknown"].includes(stateOf(one.last_message));
  const words = refused ? t("Not sent") : unsent.length ? t("Waiting to be sent …") : draft || preview(one.last_message);
  node.classList.toggle("bad", refused || (Boolean(trouble) && !unsent.length && !draft));
  if (node.dataset.painted === `${Boolean(draft)} ${words}`) return;
  node.dataset.painted = `${Boolean(draft)} ${words}`;
  node.replaceChildren(...(draft ? [el("b", { class: "row-draft", text: t("Draft:") }), ` ${words}`] : [words]));
}

const NAMED_STATES = {
  failed: (text) => t("Not delivered: {text}", { text }),
  unknown: (text) => t("Perhaps not sent: {text}", { text }),
  scheduled: (text) => t("Scheduled: {text}", { text }),
  cancelled: (text) => t("Cancelled: {text}", { text }),
};

function preview(message) {
  if (!message) return "";
  const text = summaryOf(message);
  if (message.direction === "in") return text;
  const named = NAMED_STATES[stateOf(message)];
  if (named) return named(text);
  // Of an e-mail address the part before its @.
  const author = state.people.get(message.sent_by)?.name || message.sent_by?.split("@")[0];
  return author && message.sent_by !== state.me?.extension ? t("{name}: {text}", { name: author, text }) : t("You: {text}", { text });
}
