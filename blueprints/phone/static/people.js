// Contacts (names of numbers, shared by all users), and the choice of a sending number.

import { failureReason } from "./api.js";
import { consentActions } from "./consent.js";
import { el, icon } from "./dom.js";
import { openSheet } from "./sheet.js";
import { state } from "./state.js";
import { authorOf, ownName, spoken } from "./format.js";
import { t } from "./words.js";

// A sheet with the name of each of these numbers, to be changed; once there is a `conversation`, also
// who looks after it, and what can be done about its texts.
// `suggested` is a name for those that have none.
export function editContact(peers, conversation, suggested = "") {
  const close = () => sheet.close();
  const forms = peers.map((peer) => form(peer, close, suggested));
  if (conversation) forms.push(ownerForm(conversation, close));
  const actions = conversation && consentActions(conversation.id, close);
  if (actions) forms.push(actions);
  const sheet = openSheet(peers.length > 1 ? t("People") : t("Contact"), ...forms);
}

function ownerForm({ id, number, owner, done }, close) {
  const choices = ownersOf(number, owner).map(([value, text]) => el("option", { value, text }));
  const field = el("select", { id: "owner" }, choices);
  field.value = owner ?? "";
  const problem = el("p", { class: "problem", role: "alert", hidden: true });
  const change = async (asked) => {
    try {
      await state.assign(id, asked);
      close();
    } catch (error) {
      problem.textContent = failureReason(error);
      problem.hidden = false;
    }
  };
  const submit = (event) => {
    event.preventDefault();
    change({ owner: field.value || null });
  };
  const button = (text, asked) => el("button", { type: "button", class: "button", text, on: { click: () => change(asked) } });
  return el(
    "form",
    { class: "contact", on: { submit } },
    el("label", { class: "label", for: "owner", text: t("Person who answers") }),
    field,
    problem,
    el(
      "div",
      { class: "buttons" },
      button(done ? t("Open again") : t("Done"), { done: !done }),
      owner !== state.me?.extension && button(t("I answer"), { owner: state.me.extension }),
      el("button", { type: "submit", class: "button", text: t("Hand over") }),
    ),
  );
}

// Who may look after a conversation of a number: [[value, words]], nobody first.
function ownersOf(number, owner) {
  const sharing = [...state.people.values()].filter(({ numbers }) => numbers.includes(number)).map(({ extension }) => extension);
  const all = new Set([...sharing, ...(owner ? [owner] : [])]);
  const named = [...all].map((one) => [one, one === state.me?.extension ? t("{author} (yours)", { author: authorOf(one) }) : authorOf(one)]);
  return [["", t("Nobody")], ...named.sort(([, one], [, other]) => one.localeCompare(other, undefined, { numeric: true }))];
}

function form(peer, done, suggested) {
  const id = `name-${peer}`;
  const note = el("textarea", { id: `note-${peer}`, rows: "3", maxlength: "1000", dir: "auto" });
  note.value = state.notes.get(peer) ?? "";
  const field = el("input", { id, type: "text", maxlength: "100", autocomplete: "off", dir: "auto", value: state.contacts.get(peer) ?? suggested, autofocus: true });
  const problem = el("p", { class: "problem", role: "alert", hidden: true });
  const save = async (name) => {
    try {
      if (name || state.contacts.has(peer)) await state.nameNumber(peer, name, note.value.trim());
      done();
    } catch (error) {
      problem.textContent = failureReason(error);
      problem.hidden = false;
    }
  };
  const submit = (event) => {
    event.preventDefault();
    save(field.value.trim());
  };
  return el(
    "form",
    { class: "contact", on: { submit } },
    el("p", { class: "contact-number" }, el("bdi", { text: spoken(peer) })),
    el("label", { class: "label", for: id, text: t("Name") }),
    field,
    el("label", { class: "label", for: note.id, text: t("Note") }),
    note,
    el("p", { class: "fine", text: t("Everybody in your organisation sees name and note.") }),
    problem,
    el(
      "div",
      { class: "buttons" },
      state.contacts.has(peer) && el("button", { type: "button", class: "button danger", text: t("Remove contact"), on: { click: () => save("") } }),
      el("button", { type: "submit", class: "button primary", text: t("Save") }),
    ),
  );
}

// Ask which number of ours to send from; resolves to it, or to null.
export function chooseNumber(current) {
  return new Promise((resolve) => {
    const choices = state.me.numbers.map((one) =>
      el(
        "button",
        {
          type: "button",
          class: "choice",
          "aria-pressed": String(one.number === current),
          disabled: !one.sms,
          on: {
            click: () => {
              resolve(one.number);
              sheet.close();
            },
          },
        },
        el("span", { class: "choice-name", text: ownName(one.number) }),
        el("span", { class: "choice-detail", text: one.sms ? spoken(one.number) : t("Its carrier is not set up") }),
        one.number === current && icon("check"),
      ),
    );
    const sheet = openSheet(t("Send from"), el("div", { class: "choices" }, choices));
    sheet.addEventListener("close", () => resolve(null));
  });
}
