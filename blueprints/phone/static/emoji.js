// A small choice of emoji; the system's own keyboard has the rest.

import { el } from "./dom.js";
import { t } from "./words.js";

const CHOICE = [
  ["😀", t("grinning face")], ["😄", t("smiling face")], ["😂", t("tears of joy")], ["🙂", t("slight smile")],
  ["😉", t("wink")], ["😊", t("blush")], ["😍", t("heart eyes")], ["😎", t("sunglasses")],
  ["🤔", t("thinking")], ["😅", t("sweat smile")], ["😢", t("crying")], ["😮", t("surprised")],
  ["😴", t("sleeping")], ["🙄", t("rolling eyes")], ["😡", t("angry")], ["🤝", t("handshake")],
  ["👍", t("thumbs up")], ["👎", t("thumbs down")], ["👌", t("OK hand")], ["👋", t("waving hand")],
  ["🙏", t("folded hands")], ["👏", t("clapping")], ["💪", t("strong arm")], ["🤞", t("crossed fingers")],
  ["❤️", t("red heart")], ["💙", t("blue heart")], ["🎉", t("party popper")], ["🎂", t("cake")],
  ["🌞", t("sun")], ["🌧️", t("rain")], ["⭐", t("star")], ["🔥", t("fire")],
  ["✅", t("check mark")], ["❌", t("cross mark")], ["❗", t("exclamation mark")], ["❓", t("question mark")],
  ["☎️", t("telephone")], ["📍", t("pin")], ["📅", t("calendar")], ["⏰", t("alarm clock")],
]; // prettier-ignore

const COLUMNS = 8;

// A panel of emoji; `choose(emoji)` is called for each that is picked. Arrow keys move in it.
export function emojiPanel(choose) {
  const buttons = CHOICE.map(([sign, name]) =>
    el("button", { type: "button", class: "emoji", "aria-label": name, title: name, tabindex: "-1", text: sign, on: { click: () => choose(sign) } }),
  );
  buttons[0].tabIndex = 0;
  const panel = el("div", { class: "emoji-panel", role: "group", "aria-label": t("Emoji"), hidden: true }, buttons);
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
