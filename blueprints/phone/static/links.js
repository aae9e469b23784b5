// Links in a text: web addresses, e-mail addresses and phone numbers.

import { el } from "./dom.js";
import { plainNumber } from "./format.js";

const WEB = String.raw`(?:https?:\/\/|www\.(?=[^\s.]))[^\s<>"“”]+[^\s<>"“”.,;:!?')\]]`;
const MAIL = String.raw`[\p{L}\p{N}._%+-]+@[\p{L}\p{N}-]+(?:\.[\p{L}\p{N}-]+)*\.\p{L}{2,}`;
const PHONE = String.raw`(?:\+\d[\d ().-]{5,18}\d|\(\d{3}\) ?\d{3}[ .-]?\d{4}|(?:1[ .-])?\d{3}[ .-]\d{3}[ .-]\d{4}|\d{10})(?![\p{L}\p{N}])`;
const LINK = new RegExp(String.raw`(?<![\p{L}\p{N}@.+/_-])(?:(?<web>${WEB})|(?<mail>${MAIL})|(?<phone>${PHONE}))`, "giu");

// The text in parts: strings, and links as elements. What is shown is the text as it was written.
export function linked(text) {
  const parts = [];
  let end = 0;
  for (const found of text.matchAll(LINK)) {
    const link = linkOf(found[0], found.groups);
    if (!link) continue;
    parts.push(text.slice(end, found.index), link);
    end = found.index + found[0].length;
  }
  return [...parts, text.slice(end)].filter((part) => part !== "");
}

function linkOf(text, { web, mail, phone }) {
  if (web) return el("a", { href: /^www\./i.test(web) ? `https://${web}` : web, target: "_blank", rel: "noopener noreferrer", text });
  if (mail) return el("a", { href: `mailto:${mail}`, text });
  const number = phone && plainNumber(phone);
  return number ? el("a", { href: `tel:${number}`, text }) : null;
}
