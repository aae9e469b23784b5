// A contact card in a message: the names and numbers in it, to be saved or written to.

import { ask } from "./api.js";
import { el } from "./dom.js";
import { editContact } from "./people.js";
import { readContacts } from "./vcard.js";
import { plainNumber, spoken } from "./format.js";
import { t } from "./words.js";

export const LARGEST_CARD = 300_000; // bytes; some have a photograph

// A node for the file, with `link` until it was read, and where nothing can be read. `own()` is our number in
// this conversation.
export function contactCard(file, link, own) {
  const node = el("div", { class: "contact-file" }, link);
  read(file)
    .then((contacts) => contacts.length && node.replaceChildren(...contacts.map((one) => card(one, own)), link))
    .catch(() => {}); // the link is there
  return node;
}

async function read(file) {
  const content = file.blob ?? (await (await ask("GET", `media/${file.id}`)).blob());
  return readContacts(await content.text());
}

function card({ name, numbers }, own) {
  const rows = numbers.map((written) => {
    const number = plainNumber(written);
    return el(
      "div",
      { class: "contact-number-row" },
      el("bdi", { class: "contact-card-number", text: number ? spoken(number) : written }),
      number && button(t("Save"), t("Save {name}", { name: name || spoken(number) }), () => editContact([number], null, name)),
      number && button(t("Write"), t("Write to {name}", { name: name || spoken(number) }), () => (location.hash = `#/to/${own()}/${encodeURIComponent(number)}`)),
    );
  });
  return el("div", { class: "contact-card" }, name && el("bdi", { class: "choice-name", text: name }), rows);
}

function button(text, label, click) {
  return el("button", { type: "button", class: "small-button", "aria-label": label, text, on: { click } });
}
