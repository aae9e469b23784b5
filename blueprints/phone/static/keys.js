// Keyboard shortcuts of the app, and the sheet that lists them.

import { el } from "./dom.js";
import { openSheet } from "./sheet.js";
import { t } from "./words.js";

const LIST = [
  [t("Ctrl K"), t("Search")],
  [t("Alt ↓"), t("The next conversation with unread texts")],
  [t("? or Ctrl /"), t("This list")],
  [t("Enter"), t("Send")],
  [t("Shift Enter"), t("A new line")],
  ["/", t("Templates, at the beginning of a text")],
  ["↑ ↓", t("Move in the list, or from one message's menu to the next")],
  [t("Shift Tab"), t("From the text to the menu of the last message")],
  [t("Escape"), t("Back")],
];

export function openKeys() {
  const rows = LIST.flatMap(([keys, what]) => [el("dt", {}, el("kbd", { text: keys })), el("dd", { text: what })]);
  openSheet(t("Keys"), el("dl", { class: "details" }, rows));
}

// `actions`: {search, nextUnread}.
export function listenToKeys({ search, nextUnread }) {
  addEventListener("keydown", (event) => {
    const act = actionFor(event, { search, nextUnread });
    if (!act || event.isComposing || document.querySelector("dialog[open]")) return;
    event.preventDefault();
    act();
  });
}

function actionFor({ key, altKey, ctrlKey, metaKey, target }, { search, nextUnread }) {
  const isControl = (ctrlKey || metaKey) && !altKey;
  if (isControl && key.toLowerCase() === "k") return search;
  if (isControl && key === "/") return openKeys;
  if (altKey && !ctrlKey && !metaKey && key === "ArrowDown" && !target.matches?.("select")) return nextUnread;
  const isField = target.closest?.("input, textarea, select");
  return key === "?" && !isField && !isControl && !altKey ? openKeys : null;
}
