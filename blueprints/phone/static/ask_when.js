// A sheet that asks when a text is to be sent, in the time zone of this device.

import { failureReason } from "./api.js";
import { el } from "./dom.js";
import { choice, openSheet } from "./sheet.js";
import { laterAt, longDay, timeOf, timeZone } from "./format.js";
import { t } from "./words.js";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const MORNING = 8; // o'clock
const MOST_DAYS = 366;

// The times that are offered at `now`: [{name, at}], both dates.
export function offers(now) {
  const morning = (days) => new Date(now.getFullYear(), now.getMonth(), now.getDate() + days, MORNING);
  const toMonday = (8 - now.getDay()) % 7 || 7;
  return [
    { name: t("In 1 hour"), at: new Date(now.getTime() + HOUR) },
    { name: t("Tomorrow, {time}", { time: timeOf(morning(1)) }), at: morning(1) },
    toMonday > 1 && { name: t("Monday, {time}", { time: timeOf(morning(toMonday)) }), at: morning(toMonday) },
  ].filter(Boolean);
}

// Open the sheet. `take(at)` gets the date that was chosen: then the sheet is closed, or shows why it failed.
export function askWhen(title, action, take, suggested = nextHour()) {
  const problem = el("p", { class: "problem", id: "when-problem", role: "alert", hidden: true });
  const now = new Date();
  const field = el("input", {
    type: "datetime-local", id: "when", class: "when", "aria-describedby": "when-zone when-problem",
    value: written(suggested), min: written(now), max: written(new Date(now.getTime() + MOST_DAYS * DAY)),
  });
  const complain = (words) => {
    problem.textContent = words;
    problem.hidden = !words;
  };
  let busy = false;
  const choose = async (at) => {
    complain(fault(at));
    if (busy || fault(at)) return;
    busy = true;
    try {
      await take(at);
      sheet.close();
    } catch (error) {
      complain(failureReason(error));
    }
    busy = false;
  };
  const submit = (event) => {
    event.preventDefault();
    choose(new Date(field.value));
  };
  const sheet = openSheet(
    title,
    el("div", { class: "choices" }, offers(now).map(({ name, at }) => choice(name, t("{day}, {time}", { day: longDay(at), time: timeOf(at) }), () => choose(at)))),
    el(
      "form",
      { novalidate: true, on: { submit } },
      el("label", { class: "label", for: "when", text: t("Another time") }),
      field,
      el("p", { class: "fine", id: "when-zone", text: t("In your time zone, {zone}.", { zone: timeZone() }) }),
      problem,
      el("div", { class: "buttons" }, el("button", { type: "submit", class: "button primary", text: action })),
    ),
  );
  return sheet;
}

function fault(at) {
  if (Number.isNaN(at.getTime())) return t("Choose a day and a time.");
  if (at.getTime() <= Date.now()) return t("{when} is over. Choose a later time.", { when: laterAt(at) });
  if (at.getTime() > Date.now() + MOST_DAYS * DAY) return t("Choose a time within the next year.");
  return "";
}

function nextHour() {
  const now = new Date();
  return new Date(now.getFullYear(), now.getMonth(), now.getDate(), now.getHours() + 2);
}

// A date as the field has it: local time, without a zone.
function written(at) {
  return new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}
