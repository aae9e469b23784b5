// Keyboard shortcuts of the app, and the sheet that lists them.

import { el } from "./dom.js";
import { openSheet } from "./sheet.js";

const LIST = [
  ["Ctrl K", "Search"],
  ["Alt ↓", "The next conversation with unread texts"],
  ["? or Ctrl /", "This list"],
  ["Enter", "Send"],
  ["Shift Enter", "A new line"],
  ["/", "Templates, at the beginning of a text"],
  ["↑ ↓", "Move in the list, or from one message's menu to the next"],
  ["Shift Tab", "From the text to the menu of the last message"],
  ["Escape", "Back"],
];

export function openKeys() {
  const rows = LIST.flatMap(([keys, what]) => [el("dt", {}, el("kbd", { text: keys })), el("dd", { text: what })]);
  openSheet("Keys", el("dl", { class: "details" }, rows));
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
