// Sheets: dialogs over the page. They take the focus and give it back; Escape closes them.

import { el, iconButton } from "./dom.js";
import { t } from "./words.js";

let opened = 0; // sheets, since the app was started

// Open a sheet with a title and some content; returns its dialog.
export function openSheet(title, ...content) {
  const heading = `sheet-${++opened}`;
  const dialog = el(
    "dialog",
    { class: "sheet", "aria-labelledby": heading },
    el(
      "header",
      { class: "sheet-bar" },
      el("h2", { id: heading, text: title }),
      iconButton("close", t("Close"), () => dialog.close()),
    ),
    el("div", { class: "sheet-body" }, ...content),
  );
  return show(dialog);
}

// A button of a sheet with a line of explanation, if there is one. `name` is a text or a node.
export function choice(name, detail, click) {
  const words = [el("span", { class: "choice-name" }, name), detail && el("span", { class: "choice-detail", text: detail })];
  return el("button", { type: "button", class: "choice", on: { click } }, words);
}

// Ask for confirmation of something that cannot be undone; resolves to true or false.
export function confirm(question, detail, action) {
  return new Promise((resolve) => {
    const close = (answer) => {
      resolve(answer);
      dialog.close();
    };
    const dialog = el(
      "dialog",
      { class: "sheet question", role: "alertdialog", "aria-labelledby": "question", "aria-describedby": "question-detail" },
      el("h2", { id: "question", text: question }),
      el("p", { id: "question-detail", text: detail }),
      el(
        "div",
        { class: "buttons" },
        el("button", { type: "button", class: "button", text: t("Cancel"), autofocus: true, on: { click: () => close(false) } }),
        el("button", { type: "button", class: "button primary", text: action, on: { click: () => close(true) } }),
      ),
    );
    dialog.addEventListener("close", () => resolve(false));
    show(dialog);
  });
}

export function show(dialog) {
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}
