// Actions for a message that was not delivered: send it again, as a new message with its own id. One
// that may have arrived is sent again only if the user confirms it. None for one that was cancelled,
// or that another number sends instead.

import { Refused, Unreachable } from "./api.js";
import * as db from "./db.js";
import { say } from "./dom.js";
import { filesOf } from "./message_files.js";
import { outbox } from "./outbox.js";
import { reasonFor } from "./reasons.js";
import { stateOf } from "./scheduled_texts.js";
import { confirm } from "./sheet.js";
import { state } from "./state.js";
import { t } from "./words.js";

export const HOPELESS = new Set(["opted_out", "not_dialable", "channel_not_carried", "emergency_number", "deleted"]); // codes where the same text to the same people is refused again
const repeated = new Set(); // ids of messages that were sent again: not offered another time

export async function recallRepeated() {
  for (const id of (await db.get("repeated")) ?? []) repeated.add(id);
}

// [{label, href}] that calls the emergency number which the reason of a refusal names.
export function calls(code, reason) {
  const [number] = code === "emergency_number" ? (reason.match(/\d+/) ?? []) : [];
  return number ? [{ label: t("Call {number}", { number }), href: `tel:${number}` }] : [];
}

// [{label, do}] for a message of a conversation. None where nobody can write: they have opted out, for example.
export function remedies(talk, message) {
  const closed = state.conversations.get(message.conversation_id)?.closed_reason;
  const { code, reason } = message.error ?? {};
  if (closed || HOPELESS.has(code)) return calls(code, reason);
  if (cannotBeReached(message)) return [];
  if (repeated.has(message.id) || message.replaced_by) return [];
  if (stateOf(message) === "failed") return [{ label: t("Try again"), do: () => repeat(talk, message) }];
  if (message.status === "unknown") return [{ label: t("Send again …"), do: () => repeatUnknown(talk, message) }];
  return [];
}

// Whether the carrier says that the number of a message's recipient is not in service, or takes no texts.
export function cannotBeReached({ direction, from, error }) {
  const own = direction === "out" && ownNumber(from);
  return Boolean(error?.code && own?.final_error_codes?.includes(error.code));
}

// Why a message has failed or may have failed; empty if it has not.
export function whyFailed({ from, status, error }) {
  if (!error) return "";
  return reasonFor(error.code, error.reason, ownNumber(from)?.carrier, status === "unknown" ? "unconfirmed" : "") ?? "";
}

const ownNumber = (number) => state.me?.numbers.find((one) => one.number === number);

async function repeatUnknown(talk, message) {
  const wanted = await confirm(
    t("Send it again?"),
    t("The carrier did not answer, so it may have been sent already. Then they get it twice."),
    t("Send again"),
  );
  if (wanted) await repeat(talk, message);
}

async function repeat({ number, peers }, message) {
  if (repeated.has(message.id)) return; // touched twice
  repeated.add(message.id);
  let files;
  try {
    files = await filesOf(message);
  } catch (error) {
    repeated.delete(message.id);
    if (!(error instanceof Unreachable || error instanceof Refused)) throw error;
    say(t("Its files cannot be fetched now. Try again later."));
    return;
  }
  await db.set("repeated", [...repeated]);
  await outbox.add({ number, peers, text: message.text, files });
}
