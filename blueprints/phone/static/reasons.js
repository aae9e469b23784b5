// Why something was refused or has failed, in the person's language.
//
// The server says it in English, with all details. In another language the app says what it knows of
// the error's code; of codes that it does not know it shows the server's words.

import { CARRIERS, CAUSES, REASONS, STATUSES } from "./reason_words.js";
import { language, many, t } from "./words.js";

// The words for an error with this code; `words` are those of the server, `carrier` is that of the
// number that sent, `otherwise` is the cause of an error without a code.
export function reasonFor(code, words, carrier, otherwise) {
  if (language === "en") return words;
  const number = words?.match(/\d+/)?.[0] ?? ""; // an emergency number: the only reason with a value
  const known = REASONS[code] ?? CAUSES[code ? (causeOf(CARRIERS[carrier], code) ?? causeOf(STATUSES, code)) : otherwise];
  return known?.replace("{number}", number) ?? words;
}

// The cause under which a table has a code.
function causeOf(table, code) {
  return Object.keys(table ?? {}).find((cause) => table[cause].split(" ").includes(code));
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
