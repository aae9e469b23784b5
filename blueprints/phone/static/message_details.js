// Details of a message: when, by whom, by which number, and what the carrier said.

import { el } from "./dom.js";
import { openSheet } from "./sheet.js";
import { state } from "./state.js";
import { STATES, authorOf, fullTime, listOf, nameOf, ownName, spoken } from "./format.js";
import { whyFailed } from "./remedies.js";
import { t } from "./words.js";

export function openDetails(message) {
  const facts = message.mine ? outbound(message) : inbound(message);
  const rows = facts.filter(([, value]) => value).flatMap(([name, value]) => [el("dt", { text: name }), el("dd", { dir: "auto", text: String(value) })]);
  openSheet(t("Details"), el("dl", { class: "details" }, rows));
}

function inbound({ from, to, created_at }) {
  return [
    [t("From"), person(from)],
    [t("To"), listOf(to.map(place))],
    [t("Received"), fullTime(created_at)],
  ];
}

function outbound(message) {
  const { from, to, sent_by, segments, media, created_at, updated_at, send_at, status, error } = message;
  return [
    [t("To"), listOf(to.map(person))],
    [t("From"), place(from)],
    [t("Sent by"), senderOf(sent_by)],
    [t("Written"), fullTime(created_at)],
    [t("Scheduled for"), send_at && fullTime(send_at)],
    [t("State"), STATES[status]],
    [t("Since"), fullTime(updated_at)],
    [t("Reason"), whyFailed(message)],
    [t("The carrier's code"), error?.code],
    [t("Segments"), !media.length && segments],
  ];
}

function senderOf(author) {
  if (!author) return t("No extension: automatic, or by the administrator");
  return author === state.me?.extension ? t("{author} (yours)", { author: authorOf(author) }) : authorOf(author);
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
