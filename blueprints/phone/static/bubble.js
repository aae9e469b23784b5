// The bubble of one message: its text, its files, and its status below.

import { el, iconButton, reconcile } from "./dom.js";
import { isPicture } from "./conversation_pictures.js";
import { makeFile, paintFile } from "./files.js";
import { linked } from "./links.js";
import { STATES, fullTime, timeOf } from "./format.js";
import { t } from "./words.js";

const EMOJI_ONLY = /^\p{Extended_Pictographic}[\p{Extended_Pictographic}\p{Emoji_Modifier}\u200d\ufe0f\s]*$/u;
const MOST_LARGE = 12; // in UTF-16

// `shown`: {key, text, media, reactions, mine, who, at, when, status, reason, actions, last, first}; `when` is
// shown in place of the time of `at`.
export function bubble() {
  return el(
    "div",
    { class: "message" },
    el("p", { class: "who" }),
    el("div", { class: "media" }),
    el("p", { class: "words", dir: "auto" }),
    el("p", { class: "reactions", hidden: true }),
    el("p", { class: "foot" }, el("span", { class: "foot-state" }), el("time")),
    el("div", { class: "trouble", hidden: true }, el("p", { class: "reason", dir: "auto" }), el("div", { class: "actions" })),
    iconButton("more", t("Menu of this message"), null, { class: "icon-button message-more", tabindex: "-1", "aria-haspopup": "dialog" }),
  );
}

export function paintBubble(node, shown) {
  const [who, media, words, reactions, foot, trouble, more] = node.children;
  more.hidden = !shown.seq || shown.status === "scheduled";
  node.className = ["message", shown.mine ? "mine" : "theirs", shown.first && "first", shown.last && "last"].filter(Boolean).join(" ");
  node.dataset.status = shown.status;
  if (shown.seq) node.dataset.seq = shown.seq;
  who.hidden = !shown.who;
  if (who.textContent !== shown.who) who.textContent = shown.who;
  paintWords(words, shown.text);
  paintReactions(reactions, shown.reactions);
  media.hidden = !shown.media.length;
  reconcile(media, shown.media, (file) => `${file.id} ${file.state} ${isPicture(file)}`, (file) => makeFile(file, shown), (part, file) => paintFile(part, file, shown));
  paintFoot(foot, shown);
  paintTrouble(trouble, shown);
}

function paintWords(words, text) {
  words.hidden = !text;
  if (words.dataset.text === text) return;
  words.dataset.text = text;
  words.classList.toggle("large", text.length <= MOST_LARGE && EMOJI_ONLY.test(text));
  words.replaceChildren(...linked(text));
}

function paintReactions(node, reactions) {
  node.hidden = !reactions.length;
  const said = reactions.map((one) => `${one.emoji} ${one.who}`).join(", ");
  if (node.dataset.said === said) return;
  node.dataset.said = said;
  node.replaceChildren(...reactions.map((one) => el("span", { text: one.emoji, title: one.who, role: "img", "aria-label": t("{emoji} by {who}", { emoji: one.emoji, who: one.who }) })));
}

function paintFoot(foot, shown) {
  const [status, time] = foot.children;
  const label = shown.mine ? STATES[shown.status] : "";
  if (status.textContent !== label) status.textContent = label;
  time.textContent = shown.when ?? timeOf(shown.at);
  time.dateTime = new Date(shown.at).toISOString();
  time.title = fullTime(shown.at);
  foot.classList.toggle("bad", ["failed", "refused", "unknown"].includes(shown.status));
}

function paintTrouble(trouble, shown) {
  const [reason, actions] = trouble.children;
  trouble.hidden = !shown.reason && !shown.actions.length;
  if (reason.textContent !== shown.reason) reason.textContent = shown.reason;
  reason.hidden = !shown.reason;
  reconcile(actions, shown.actions, (one) => one.label, ({ href, label }) =>
    href ? el("a", { href, class: "small-button", text: label }) : el("button", { type: "button", class: "small-button", text: label }),
  );
  shown.actions.forEach((one, at) => (actions.children[at].onclick = one.do ?? null));
}
