// A picture over the whole screen.

import { el, icon, iconButton } from "./dom.js";
import { show } from "./sheet.js";

export function openViewer(address, name) {
  const dialog = el(
    "dialog",
    { class: "viewer", "aria-label": "Picture" },
    el(
      "div",
      { class: "viewer-bar" },
      el("a", { class: "icon-button", href: address, download: name, "aria-label": "Save the picture", title: "Save the picture" }, icon("download")),
      iconButton("close", "Close", () => dialog.close(), { autofocus: true }),
    ),
    el("img", { src: address, alt: "The picture, large", on: { click: () => dialog.close() } }),
  );
  show(dialog);
}
