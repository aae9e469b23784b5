// A small choice of emoji; the system's own keyboard has the rest.

import { el } from "./dom.js";

const CHOICE = [
  ["😀", "grinning face"], ["😄", "smiling face"], ["😂", "tears of joy"], ["🙂", "slight smile"],
  ["😉", "wink"], ["😊", "blush"], ["😍", "heart eyes"], ["😎", "sunglasses"],
  ["🤔", "thinking"], ["😅", "sweat smile"], ["😢", "crying"], ["😮", "surprised"],
  ["😴", "sleeping"], ["🙄", "rolling eyes"], ["😡", "angry"], ["🤝", "handshake"],
  ["👍", "thumbs up"], ["👎", "thumbs down"], ["👌", "OK hand"], ["👋", "waving hand"],
  ["🙏", "folded hands"], ["👏", "clapping"], ["💪", "strong arm"], ["🤞", "crossed fingers"],
  ["❤️", "red heart"], ["💙", "blue heart"], ["🎉", "party popper"], ["🎂", "cake"],
  ["🌞", "sun"], ["🌧️", "rain"], ["⭐", "star"], ["🔥", "fire"],
  ["✅", "check mark"], ["❌", "cross mark"], ["❗", "exclamation mark"], ["❓", "question mark"],
  ["☎️", "telephone"], ["📍", "pin"], ["📅", "calendar"], ["⏰", "alarm clock"],
]; // prettier-ignore

const COLUMNS = 8;

// A panel of emoji; `choose(emoji)` is called for each that is picked. Arrow keys move in it.
export function emojiPanel(choose) {
  const buttons = CHOICE.map(([sign, name]) =>
    el("button", { type: "button", class: "emoji", "aria-label": name, title: name, tabindex: "-1", text: sign, on: { click: () => choose(sign) } }),
  );
  buttons[0].tabIndex = 0;
  const panel = el("div", { class: "emoji-panel", role: "group", "aria-label": "Emoji", hidden: true }, buttons);
  panel.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: COLUMNS, ArrowUp: -COLUMNS }[event.key];
    const next = buttons[buttons.indexOf(document.activeElement) + step];
    if (!next) return;
    event.preventDefault();
    for (const button of buttons) button.tabIndex = button === next ? 0 : -1;
    next.focus();
  });
  return panel;
}
