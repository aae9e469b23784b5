// Details of a message: when, by whom, by which number, and what the carrier said.

import { el } from "./dom.js";
import { openSheet } from "./sheet.js";
import { state } from "./state.js";
import { STATES, authorOf, fullTime, nameOf, ownName, spoken } from "./format.js";

export function openDetails(message) {
  const facts = message.mine ? outbound(message) : inbound(message);
  const rows = facts.filter(([, value]) => value).flatMap(([name, value]) => [el("dt", { text: name }), el("dd", { dir: "auto", text: String(value) })]);
  openSheet("Details", el("dl", { class: "details" }, rows));
}

function inbound({ from, to, created_at }) {
  return [
    ["From", person(from)],
    ["To", to.map(place).join(", ")],
    ["Received", fullTime(created_at)],
  ];
}

function outbound({ from, to, sent_by, segments, media, created_at, updated_at, send_at, status, error }) {
  return [
    ["To", to.map(person).join(", ")],
    ["From", place(from)],
    ["Sent by", senderOf(sent_by)],
    ["Written", fullTime(created_at)],
    ["Scheduled for", send_at && fullTime(send_at)],
    ["State", STATES[status]],
    ["Since", fullTime(updated_at)],
    ["Reason", error?.reason],
    ["The carrier's code", error?.code],
    ["Segments", !media.length && segments],
  ];
}

function senderOf(author) {
  if (!author) return "No extension: automatic, or by the administrator";
  return author === state.me?.extension ? `${authorOf(author)} (yours)` : authorOf(author);
}

function person(number) {
  const name = nameOf(number);
  return name === spoken(number) ? name : `${name}, ${spoken(number)}`;
}

// One of our numbers; in a group message others are among the recipients.
function place(number) {
  const name = ownName(number);
  return name === spoken(number) ? person(number) : `${name}, ${spoken(number)}`;
}
