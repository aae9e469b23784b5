// Start of the app: its words first, so that everything after is made in the person's language.

import { language, loadWords, translated } from "./words.js";

const TRANSLATED = ["aria-label", "placeholder", "title"];

// The words of the page itself: elements with `data-words`, and their attributes.
function translatePage() {
  const app = document.title;
  document.documentElement.lang = language;
  for (const node of document.querySelectorAll("[data-words]")) {
    if (!node.childElementCount) node.textContent = translated(node.textContent, { app });
    for (const name of TRANSLATED) {
      if (node.hasAttribute(name)) node.setAttribute(name, translated(node.getAttribute(name), { app }));
    }
  }
}

loadWords().then(() => {
  translatePage();
  return import("./app.js");
});
