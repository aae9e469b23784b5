// Rows of a conversation in order: days, messages, and the outbox; apart from them, its scheduled texts.

import { outbox } from "./outbox.js";
import { HOPELESS, calls, cannotBeReached, remedies, whyFailed } from "./remedies.js";
import { openRefused, openScheduled } from "./scheduled_sheet.js";
import { stateOf } from "./scheduled_texts.js";
import { state } from "./state.js";
import { authorOf, dayOf, laterAt, nameOf, sameMembers, titleOf } from "./format.js";
import { whyItWaits } from "./reasons.js";
import { t } from "./words.js";

const TOGETHER = 5 * 60_000; // messages of one side within these milliseconds stand close

// Rows with a `key`: a day has a `heading`, all else is as `paintBubble` wants it.
export function timeline(talk) {
  const all = talk.id ? state.messages(talk.id).filter((message) => stateOf(message) !== "scheduled") : [];
  const [sent, reactions] = withoutReactions(all);
  const waiting = unsent(talk, sent).filter((entry) => !entry.send_at);
  const rows = [];
  let before = null;
  for (const shown of [...sent.map((one) => kept(talk, one, reactions.get(one.id))), ...waiting.map((one) => written(talk, one))]) {
    const date = new Date(shown.at).toDateString();
    if (before?.date !== date) rows.push({ key: date, heading: dayOf(shown.at) });
    const joined = before?.date === date && before.side === shown.side && shown.at - before.at < TOGETHER;
    if (before) before.last = !joined;
    before = Object.assign(shown, { date, first: !joined, last: true, who: joined ? "" : shown.who });
    rows.push(shown);
  }
  return rows;
}

// Rows of the texts that are to be sent later: those that wait on this device, then the others by their time.
export function scheduledRows(talk) {
  const scheduled = talk.id ? state.schedule.of(talk.id) : [];
  const waiting = unsent(talk, scheduled).filter((entry) => entry.send_at);
  const left = () => talk.focusMessages();
  const rows = [
    ...waiting.map((entry) => ({
      ...written(talk, entry),
      send_at: entry.send_at,
      actions: entry.state === "refused" ? [{ label: t("Change or delete …"), do: () => openRefused(entry, left) }] : [],
    })),
    ...scheduled.map((message) => ({
      ...kept(talk, message),
      reason: whyItWaits(message),
      actions: [{ label: t("Change or cancel …"), do: () => openScheduled(message, left) }],
    })),
  ];
  return rows.map((row) => ({ ...row, at: Date.parse(row.send_at), when: laterAt(row.send_at), first: true, last: true }));
}

// What waits on this device for a conversation, without what is among these messages.
function unsent(talk, messages) {
  const known = new Set(messages.map((message) => message.client_id));
  return outbox.entries
    .filter((entry) => entry.number === talk.number && sameMembers(entry.peers, talk.peers))
    .filter((entry) => !known.has(entry.client_id));
}

// The messages that are no reactions to one of them, and the emoji for each: {id: {from: emoji}}.
function withoutReactions(all) {
  const known = new Set(all.map((message) => message.id));
  const reactions = new Map();
  const rest = all.filter((message) => {
    const to = message.reaction?.message_id;
    if (!to || !known.has(to)) return true;
    reactions.set(to, { ...reactions.get(to), [message.from]: message.reaction.emoji });
    return false;
  });
  return [rest, reactions];
}

// A message that the server has.
function kept(talk, message, reactions = {}) {
  const mine = message.direction === "out";
  const other = mine && message.sent_by && message.sent_by !== state.me?.extension;
  const group = !mine && talk.peers.length > 1;
  return {
    ...message,
    status: stateOf(message),
    key: message.client_id ?? message.id,
    mine,
    own: talk.number,
    side: mine ? `out ${message.sent_by}` : message.from,
    who: other ? authorOf(message.sent_by) : group ? nameOf(message.from) : "",
    with: titleOf(talk.peers),
    at: Date.parse(message.created_at),
    reactions: Object.entries(reactions)
      .filter(([, emoji]) => emoji)
      .map(([from, emoji]) => ({ emoji, who: nameOf(from) })),
    reason: mine ? reasonOf(message) : "",
    actions: mine ? remedies(talk, message) : [],
  };
}

// Why a message was not delivered; where sending it again cannot help, with what to do instead.
function reasonOf(message) {
  const reason = whyFailed(message);
  return reason && cannotBeReached(message) ? t("{reason} Check the number, or reach them another way.", { reason }) : reason;
}

// One that waits on this device.
function written(talk, entry) {
  const refused = entry.state === "refused";
  const actions = [
    ...calls(entry.code, entry.reason),
    !HOPELESS.has(entry.code) && { label: t("Try again"), do: () => outbox.retry(entry.client_id) },
    { label: t("Delete"), do: () => outbox.drop(entry.client_id) },
  ].filter(Boolean);
  return {
    key: entry.client_id,
    mine: true,
    own: talk.number,
    side: `out ${state.me?.extension}`,
    who: "",
    with: titleOf(talk.peers),
    text: entry.text,
    media: entry.files.map((file, at) => ({ id: String(at), state: "kept", content_type: file.blob.type, size: file.blob.size, ...file })),
    at: entry.created_at,
    reactions: [],
    status: refused ? "refused" : state.connected ? "queued" : "waiting",
    reason: entry.reason,
    actions: refused ? actions : [],
  };
}
