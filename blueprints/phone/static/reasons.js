// Why something was refused or has failed, in the person's language.
//
// The server says it in English, with all details. In another language the app says what it knows of
// the error's code; of other codes, such as those of carriers, it shows the server's words.

import { language, many, t } from "./words.js";

const later = t("Too much at once. Try again later.");
const changed = t("It was changed or deleted meanwhile.");

const KNOWN = {
  answered: t("A person has answered meanwhile."),
  busy: later,
  carrier_off: t("The carrier of this number is not set up. Ask your administrator."),
  channel_not_carried: t("This number does not carry WhatsApp or RCS."),
  country_not_allowed: t("Texts to this country or kind of number are turned off. Ask your administrator."),
  emergency_number: t("Textbridge cannot send texts to emergency services. Call {number}."),
  fault: t("The server has a fault. Tell your administrator."),
  file_too_large: t("A file is too large for the carrier."),
  file_type: t("The carrier does not take files of this kind."),
  invalid: t("This is not a valid value."),
  limit_reached: later,
  no_common_hours: t("There is no time at which it is not quiet hours for one of these people. Write to them one by one."),
  no_number: t("Your extension has no number yet. Ask your administrator."),
  no_push: t("This device is not registered for notifications. Turn them off and on again."),
  not_dialable: t("This is not a number that can be texted."),
  not_found: t("It is not there any more."),
  not_scheduled: t("This text does not wait any more: it was sent or cancelled."),
  not_their_number: t("This extension does not have the number of this conversation."),
  number_not_allowed: t("A rule sends new conversations by another of your numbers. Choose it under “Send from”."),
  number_not_yours: t("This number is not yours any more."),
  opted_out: t("They have opted out. Nobody can text them until they text START, or your administrator takes it back."),
  person_forgotten: t("The data of this person was deleted."),
  picture: t("This picture cannot be sent. Try another one."),
  restored: t("It was cancelled because a backup was restored."),
  same_number: t("A number cannot text itself."),
  send_at_past: t("This time is over. Choose a later one."),
  send_at_too_far: t("Choose a time within the next year."),
  stale: changed,
  conflict: changed,
  text_too_long: t("The text is too long for the carrier."),
  too_large: t("This file is too large."),
  too_late: t("Its time was too long ago, so it was not sent."),
  too_many_files: t("These are too many files for one message."),
  too_many_pinned: t("Too many conversations are pinned. Unpin another one first."),
  too_many_recipients: t("These are too many people for one message of this number."),
  too_many_scheduled: t("Too many texts are scheduled. Cancel some, or send this one later."),
  too_many_requests: later,
  too_much_at_once: later,
  unknown_file: t("A file is no longer at the server. Attach it anew."),
  wrong_code: t("This code is wrong, used or too old. Ask your administrator for a new one."),
};

// The words for an error with this code; `words` are those of the server.
export function reasonFor(code, words) {
  const number = words?.match(/\d+/)?.[0] ?? ""; // an emergency number: the only reason with a value
  return (language !== "en" && KNOWN[code]?.replace("{number}", number)) || words;
}

// Why nobody can write in a conversation; empty if one can. `nameOf(number)` is the name of a person.
export function whyClosed({ closed_reason: words, opt_outs: found = [] }, nameOf) {
  if (!words || language === "en" || !found.length) return words ?? "";
  const names = found.map((one) => nameOf(one.peer)).join(", ");
  return many(
    found.length,
    "{names} wants no more texts from this number. Nobody can text them until they text START, or your administrator takes it back.",
    "{names} want no more texts from this number. Nobody can text them until they text START, or your administrator takes it back.",
    { names },
  );
}

// Why a scheduled text waits longer than was asked for; empty if it does not.
export function whyItWaits({ waits_because: words }) {
  return words && language !== "en" ? t("It waits until the quiet hours at its recipient are over.") : (words ?? "");
}

// Why a file of a message is not here.
export function whyNoFile({ reason: words }) {
  return words && language === "en" ? words : t("A file could not be fetched.");
}

// What came of a test notification.
export function testOutcome({ outcome, detail }) {
  if (language === "en") return detail;
  return outcome === "taken"
    ? t("The notification is on its way.")
    : t("The notification was not taken. Turn notifications off and on again, or ask your administrator.");
}
