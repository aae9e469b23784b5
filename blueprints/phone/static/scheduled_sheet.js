// What can be done with a scheduled text: another time, another text, sent now, cancelled.

import { failureReason } from "./api.js";
import { el, say } from "./dom.js";
import { askWhen } from "./ask_when.js";
import { outbox } from "./outbox.js";
import { calls } from "./remedies.js";
import { choice, openSheet } from "./sheet.js";
import { state } from "./state.js";
import { laterAt, timeZone } from "./format.js";
import { whyItWaits } from "./reasons.js";
import { t } from "./words.js";

// The actions for a scheduled text that the server has. `left` is called when the sheet has closed.
export function openScheduled(message, left) {
  const problem = el("p", { class: "problem", role: "alert", hidden: true });
  const act = async (work, said) => {
    try {
      await work(message.id);
      sheet.close();
      say(said);
    } catch (error) {
      problem.textContent = failureReason(error);
      problem.hidden = false;
    }
  };
  const next = (open) => () => {
    sheet.close();
    open(message);
  };
  const sheet = openSheet(
    t("Scheduled text"),
    el("p", { class: "fine", text: t("{when} ({zone})", { when: laterAt(message.send_at), zone: timeZone() }) }),
    message.waits_because && el("p", { class: "fine", text: whyItWaits(message) }),
    el(
      "div",
      { class: "choices" },
      choice(t("Change time …"), "", next(changeTime)),
      choice(t("Change text …"), "", next(changeText)),
      choice(t("Send now"), message.waits_because ? t("Also in quiet hours: you send it yourself") : "", () => act((id) => state.sendScheduled(id), t("Sent now."))),
      choice(t("Cancel this text"), t("It is not sent"), () => act((id) => state.cancelScheduled(id), t("Cancelled."))),
    ),
    problem,
  );
  sheet.addEventListener("close", left);
}

// The actions for one that the server has refused, such as when its time was over before there was a connection.
export function openRefused(entry, left) {
  const act = (work) => () => {
    sheet.close();
    work();
  };
  const again = (changes) => outbox.retry(entry.client_id, changes);
  const sheet = openSheet(
    t("Not scheduled"),
    el("p", { class: "problem", text: entry.reason }),
    ...calls(entry.code, entry.reason).map(({ href, label }) => el("p", {}, el("a", { href, class: "small-button", text: label }))),
    el(
      "div",
      { class: "choices" },
      choice(t("Change time …"), "", act(() => askWhen(t("Change time"), t("Schedule"), (at) => again({ send_at: at.toISOString() })))),
      choice(t("Send now"), "", act(() => again({ send_at: undefined }))),
      choice(t("Delete"), t("It is not sent"), act(() => outbox.drop(entry.client_id))),
    ),
  );
  sheet.addEventListener("close", left);
}

function changeTime({ id, send_at }) {
  const take = async (at) => {
    const changed = await state.changeScheduled(id, { send_at: at.toISOString() });
    say([t("Scheduled: {when}.", { when: laterAt(changed.send_at) }), whyItWaits(changed)].filter(Boolean).join(" "));
  };
  askWhen(t("Change time"), t("Change"), take, new Date(send_at));
}

function changeText({ id, text }) {
  const field = el("textarea", { id: "later-text", rows: "5", maxlength: "10000", dir: "auto", autofocus: true });
  field.value = text;
  const problem = el("p", { class: "problem", role: "alert", hidden: true });
  const submit = async (event) => {
    event.preventDefault();
    try {
      await state.changeScheduled(id, { text: field.value.trim() });
      sheet.close();
    } catch (error) {
      problem.textContent = failureReason(error);
      problem.hidden = false;
    }
  };
  const sheet = openSheet(
    t("Change text"),
    el(
      "form",
      { on: { submit } },
      el("label", { class: "label", for: "later-text", text: t("Text") }),
      field,
      problem,
      el("div", { class: "buttons" }, el("button", { type: "submit", class: "button primary", text: t("Save") })),
    ),
  );
}
