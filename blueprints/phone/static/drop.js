// Files that are dragged onto a conversation. Beside it a dropped file does nothing; the browser would leave the app.

import { el } from "./dom.js";
import { t } from "./words.js";

const hasFiles = (event) => event.dataTransfer?.types.includes("Files");

for (const type of ["dragover", "drop"]) {
  addEventListener(type, (event) => {
    if (!hasFiles(event) || event.defaultPrevented) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "none";
  });
}

// `take(files)` gets what is dropped on the node while `isAllowed()`.
export function acceptFiles(node, isAllowed, take) {
  const hint = el("p", { class: "drop-hint", "aria-hidden": "true", text: t("Drop to attach"), hidden: true });
  node.append(hint);
  node.addEventListener("dragover", (event) => {
    if (!hasFiles(event) || !isAllowed()) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "copy";
    hint.hidden = false;
  });
  node.addEventListener("dragleave", (event) => node.contains(event.relatedTarget) || (hint.hidden = true));
  node.addEventListener("drop", (event) => {
    hint.hidden = true;
    if (!hasFiles(event) || !isAllowed()) return;
    event.preventDefault();
    take(event.dataTransfer.files);
  });
}
