// The avatar of a person: initials on a colour that depends on the number.

import { el, icon } from "./dom.js";
import { state } from "./state.js";

const TONES = 6;

export function avatar() {
  return el("span", { class: "avatar", "aria-hidden": "true" });
}

export function paintAvatar(node, peers) {
  const name = peers.length === 1 ? state.contacts.get(peers[0]) : null;
  const tone = [...peers.join()].reduce((sum, one) => (sum * 31 + one.codePointAt(0)) % 9973, 7) % TONES;
  const face = peers.length > 1 ? "group" : name ? initials(name) : "person";
  const painted = `${tone} ${face}`;
  if (node.dataset.painted === painted) return;
  node.dataset.painted = painted;
  node.className = `avatar tone-${tone}`;
  if (name) node.textContent = face;
  else node.replaceChildren(icon(face));
}

// Titles before a name, and what stands behind it; they are not its initials.
const TITLES = /^(dr|mr|mrs|ms|miss|mx|prof|sir|herr|frau|sra?|srta|mme|mlle|rev|jr|ph\.?d|m\.?d|esq|ing|mag)\.?,?$/iu;

function initials(name) {
  const all = name.split(/\s+/).filter((word) => /^[\p{L}\p{N}]/u.test(word));
  const named = all.filter((word) => !TITLES.test(word));
  const words = named.length ? named : all;
  const letters = [words[0], words.length > 1 ? words.at(-1) : ""].map((word) => [...(word ?? "")][0] ?? "");
  return letters.join("").toUpperCase() || "#";
}
