// A picture over the whole screen.

import { el, icon, iconButton } from "./dom.js";
import { show } from "./sheet.js";
import { t } from "./words.js";

export function openViewer(address, name) {
  const dialog = el(
    "dialog",
    { class: "viewer", "aria-label": t("Picture") },
    el(
      "div",
      { class: "viewer-bar" },
      el("a", { class: "icon-button", href: address, download: name, "aria-label": t("Save the picture"), title: t("Save the picture") }, icon("download")),
      iconButton("close", t("Close"), () => dialog.close(), { autofocus: true }),
    ),
    el("img", { src: address, alt: t("The picture, large"), on: { click: () => dialog.close() } }),
  );
  show(dialog);
}
