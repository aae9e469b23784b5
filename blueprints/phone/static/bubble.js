// The bubble of one message: its text, its files, and its status below.

import { filePath } from "./api.js";
import { el, icon, iconButton, reconcile } from "./dom.js";
import { linked } from "./links.js";
import { state } from "./state.js";
import { STATES, fullTime, sizeOf, timeOf } from "./format.js";
import { openViewer } from "./viewer.js";

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
    iconButton("more", "Menu of this message", null, { class: "icon-button more", tabindex: "-1", "aria-haspopup": "dialog" }),
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
  reconcile(media, shown.media, (file) => `${file.id} ${file.state}`, makeFile, (part, file) => paintFile(part, file, shown));
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
  node.replaceChildren(...reactions.map((one) => el("span", { text: one.emoji, title: one.who, role: "img", "aria-label": `${one.emoji} by ${one.who}` })));
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
  reconcile(actions, shown.actions, (one) => one.label, (one) => el("button", { type: "button", class: "small-button", text: one.label }));
  shown.actions.forEach((one, at) => (actions.children[at].onclick = one.do));
}

const isPicture = (file) => /^image\/(jpeg|png|gif|webp|avif|bmp)$/.test(file.content_type);

function makeFile(file) {
  // Most files are pictures: reserve the space, so that nothing moves when one is loaded.
  if (file.state === "pending") return el("p", { class: "picture waiting", text: "Downloading …" });
  if (file.state === "failed") return el("p", { class: "file-note", text: file.reason ?? "A file could not be fetched." });
  const address = file.blob ? URL.createObjectURL(file.blob) : filePath(file.url);
  return isPicture(file) ? picture(file, address) : fileLink(file, address);
}

function picture(file, address) {
  const image = el("img", { alt: "", loading: "lazy", decoding: "async", src: address });
  return el("button", { type: "button", class: "picture" }, image);
}

function paintFile(part, file, shown) {
  if (part.tagName !== "BUTTON") return;
  part.setAttribute("aria-label", `Picture ${shown.mine ? "to" : "from"} ${shown.with}, show it large`);
  const [image] = part.children;
  part.onclick = () => openViewer(image.src, file.name || "picture");
  // A link expires after a day: the message, loaded again, has a new one.
  image.onerror = () => {
    image.onerror = null;
    if (shown.id) state.reload(shown.id).then(() => (image.src = newAddress(shown, file) ?? image.src)).catch(() => {});
  };
}

function newAddress(shown, file) {
  const message = state.messages(shown.conversation_id).find((one) => one.id === shown.id);
  const url = message?.media.find((one) => one.id === file.id)?.url;
  return url ? filePath(url) : null;
}

function fileLink(file, address) {
  const size = el("span", { class: "file-size", text: [file.content_type.split("/")[1], sizeOf(file.size)].filter(Boolean).join(" · ") });
  return el(
    "a",
    { class: "file", href: address, download: file.name || true },
    icon("file"),
    el("span", { class: "file-words" }, el("bdi", { class: "file-name", text: file.name || "File" }), size),
    icon("download"),
  );
}
