// The settings of this device: notifications, its name, and leaving.

import { call, failureReason } from "./api.js";
import { contactFiles } from "./contact_files.js";
import { el } from "./dom.js";
import { homeScreen } from "./home_screen.js";
import { openKeys } from "./keys.js";
import * as push from "./push.js";
import * as sound from "./sound.js";
import { confirm, openSheet } from "./sheet.js";
import { state } from "./state.js";
import { peersOf, spoken, titleOf } from "./format.js";
import { testOutcome } from "./reasons.js";
import { LANGUAGES, chooseLanguage, chosenLanguage, t } from "./words.js";

const PREVIEWS = { full: t("Name and text"), sender: t("Name only"), none: t("Neither") };

export function openSettings(leave) {
  const { me } = state;
  const problem = el("p", { class: "problem", role: "alert", hidden: true });
  const sheet = openSheet(
    t("Settings"),
    el("p", { class: "whose" }, el("b", { dir: "auto", text: me.name || t("Extension {extension}", { extension: me.extension }) }), me.name && el("span", { text: t("Extension {extension}", { extension: me.extension }) }), numbersOf(me)),
    problem,
    ...notifications(guarded),
    soundSwitch(guarded),
    blockedSenders(guarded, () => sheet.close()),
    ...contactFiles(guarded),
    el("h3", { text: t("This device") }),
    name(guarded),
    languageChoice(),
    el(
      "div",
      { class: "buttons" },
      matchMedia("(pointer: fine)").matches && el("button", { type: "button", class: "button", text: t("Keys"), on: { click: openKeys } }),
      homeScreen.isOffered && el("button", { type: "button", class: "button", text: t("Install"), on: { click: () => homeScreen.install() } }),
      el("button", { type: "button", class: "button danger", text: t("Sign out"), on: { click: signOut } }),
    ),
  );

  // Send a change to the server; on failure show the reason and call `undo` for the control.
  async function guarded(work, undo = () => {}) {
    problem.hidden = true;
    try {
      return await work();
    } catch (error) {
      problem.textContent = error instanceof DOMException ? error.message : failureReason(error);
      problem.hidden = false;
      undo();
      return null;
    }
  }

  async function signOut() {
    const wanted = await confirm(
      t("Sign out?"),
      t("This device forgets everything, also what still waits to be sent. To come back you need a new code."),
      t("Sign out"),
    );
    if (!wanted) return;
    await guarded(async () => {
      if (push.isOn()) await push.turnOff();
      await call("DELETE", `devices/${me.device.id}`);
      sheet.close();
      await leave();
    });
  }
}

// Each language is called as its speakers call it; the page starts anew in the one that is chosen.
function languageChoice() {
  const languages = Object.entries(LANGUAGES).map(([value, text]) => el("option", { value, text, lang: value }));
  const field = el("select", { id: "language" }, el("option", { value: "", text: t("As in the browser") }), languages);
  field.value = chosenLanguage() ?? "";
  field.addEventListener("change", () => {
    chooseLanguage(field.value);
    location.reload();
  });
  return el("div", { class: "setting" }, el("label", { for: "language", text: t("Language") }), field);
}

function numbersOf(me) {
  if (!me.numbers.length) return el("span", { text: t("No number yet") });
  return me.numbers.map(({ number, description }) => el("span", { text: [description, spoken(number)].filter(Boolean).join(" · ") }));
}

// The conversations that no list shows; one opens with its “Unblock”.
function blockedSenders(guarded, close) {
  const node = el("div", { hidden: true }, el("h3", { text: t("Blocked senders") }));
  guarded(async () => {
    const { items } = await call("GET", "conversations?blocked=1&limit=200");
    node.hidden = !items.length;
    node.append(
      ...items.map((one) => el("a", { class: "choice", href: `#/c/${one.id}`, on: { click: close } }, el("bdi", { class: "choice-name", text: titleOf(peersOf(one)) }))),
    );
  });
  return node;
}

function notifications(guarded) {
  const can = push.ability();
  if (can === "server") return [];
  const { device } = state.me;
  const on = el("input", { type: "checkbox", role: "switch", id: "notify", disabled: can !== "yes" });
  on.checked = can === "yes" && push.isOn();
  const outcome = el("p", { class: "fine", role: "status" });
  const test = el("button", { type: "button", class: "button", text: t("Send me a test") });
  const preview = el("select", { id: "preview" }, Object.entries(PREVIEWS).map(([value, text]) => el("option", { value, text })));
  preview.value = device.preview ?? "full";
  const more = el(
    "div",
    { class: "more" },
    el("div", { class: "setting" }, el("label", { for: "preview", text: t("A notification shows") }), preview),
    quietHours(guarded),
    el("div", { class: "buttons" }, test),
    outcome,
  );
  const paint = () => (more.hidden = !on.checked);
  on.addEventListener("change", async () => {
    const wanted = on.checked;
    const done = await guarded(
      async () => (wanted ? push.turnOn() : push.turnOff().then(() => true)),
      () => (on.checked = !wanted),
    );
    if (done === false) on.checked = false;
    if (done === false) outcome.textContent = push.REASONS.denied;
    paint();
  });
  preview.addEventListener("change", () => guarded(() => push.change({ preview: preview.value }), () => (preview.value = state.me.device.preview)));
  test.addEventListener("click", async () => {
    outcome.textContent = t("Asking …");
    const result = await guarded(() => push.test());
    outcome.textContent = result ? testOutcome(result) : "";
  });
  paint();
  return [
    el("h3", { text: t("Notifications") }),
    el("div", { class: "setting" }, el("label", { for: "notify", text: t("Notifications") }), on),
    can !== "yes" && el("p", { class: "fine", text: push.REASONS[can] }),
    more,
  ].filter(Boolean);
}

function soundSwitch(guarded) {
  const on = el("input", { type: "checkbox", role: "switch", id: "sound" });
  sound.isOn().then((isOn) => (on.checked = isOn));
  on.addEventListener("change", () => {
    if (on.checked) sound.play();
    guarded(() => sound.turn(on.checked));
  });
  return el("div", { class: "setting" }, el("label", { for: "sound", text: t("Sound while the app is open") }), on);
}

function quietHours(guarded) {
  const kept = state.me.device.quiet_hours;
  const on = el("input", { type: "checkbox", role: "switch", id: "quiet" });
  const start = el("input", { type: "time", id: "quiet-start", required: true, value: kept?.start ?? "22:00" });
  const end = el("input", { type: "time", id: "quiet-end", required: true, value: kept?.end ?? "07:00" });
  const times = el("div", { class: "setting times" }, el("label", { for: "quiet-start", text: t("Start") }), start, el("label", { for: "quiet-end", text: t("End") }), end);
  on.checked = Boolean(kept);
  const save = async () => {
    times.hidden = !on.checked;
    if (on.checked && !(start.value && end.value)) return;
    const time_zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
    const hours = on.checked ? { start: start.value, end: end.value, time_zone } : null;
    await guarded(() => push.change({ quiet_hours: hours }));
  };
  times.hidden = !on.checked;
  for (const control of [on, start, end]) control.addEventListener("change", save);
  return el("div", {}, el("div", { class: "setting" }, el("label", { for: "quiet", text: t("Quiet hours") }), on), times);
}

function name(guarded) {
  const field = el("input", { id: "device-name", type: "text", maxlength: "100", required: true, autocomplete: "off", value: state.me.device.name });
  field.addEventListener("change", () => {
    const wanted = field.value.trim();
    const undo = () => (field.value = state.me.device.name);
    return wanted ? guarded(() => push.change({ name: wanted }), undo) : undo();
  });
  return el("div", { class: "setting" }, el("label", { for: "device-name", text: t("Name") }), field);
}
