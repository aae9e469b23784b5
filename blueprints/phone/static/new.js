// A new conversation: to contacts, or to any numbers.

import { avatar, paintAvatar } from "./avatar.js";
import { BackButton } from "./back.js";
import { el, iconButton, reconcile } from "./dom.js";
import { draftKey, drafts } from "./drafts.js";
import { takeForward } from "./forward.js";
import { editContact } from "./people.js";
import { Recipients } from "./recipients.js";
import { state } from "./state.js";
import { ownName, peersOf, spoken, summaryOf } from "./format.js";
import { many, t } from "./words.js";

export class NewTalk {
  constructor(back) {
    this.backButton = new BackButton(back);
    this.recipients = new Recipients(() => this.#paint());
    this.from = el("select", { id: "from", class: "from-choice" });
    this.fromRow = el("div", { class: "new-row" }, el("label", { for: "from", text: t("From") }), this.from);
    this.problem = el("p", { class: "problem", id: "to-problem", role: "alert", hidden: true });
    this.forwarded = el("p", { class: "fine forwarded", dir: "auto", hidden: true });
    this.people = el("ul", { class: "people", "aria-label": t("Contacts") });
    this.node = el(
      "div",
      { class: "talk new", hidden: true },
      el("header", { class: "bar" }, this.backButton.node, el("h1", { class: "bar-title", text: t("New conversation") })),
      el(
        "form",
        { class: "new-form", autocomplete: "off", on: { submit: (event) => this.#submit(event) } },
        el("div", { class: "new-row" }, el("label", { for: "to", text: t("To") }), this.recipients.node, el("button", { type: "submit", class: "small-button", text: t("Next") })),
        this.fromRow,
        this.forwarded,
        this.problem,
      ),
      el("div", { class: "new-scroll" }, this.people),
    );
    document.getElementById("talk").append(this.node);
    this.from.addEventListener("change", () => this.#paint());
    this.node.addEventListener("keydown", (event) => event.key === "Escape" && back());
    state.addEventListener("contacts", () => this.isOpen && this.#paint());
    state.addEventListener("conversations", () => this.backButton.paint());
  }

  get isOpen() {
    return !this.node.hidden;
  }

  open() {
    const usable = (state.me?.numbers ?? []).filter((one) => one.sms);
    this.from.replaceChildren(...usable.map((one) => el("option", { value: one.number, text: label(one.number) })));
    this.fromRow.hidden = usable.length < 2;
    this.recipients.clear();
    this.draft = takeForward();
    this.forwarded.hidden = !this.draft;
    this.forwarded.textContent = this.draft ? t("Forward: {text}", { text: summaryOf(this.draft) }) : "";
    this.node.hidden = false;
    this.#complain("");
    this.#paint();
    this.recipients.field.focus({ preventScroll: true });
  }

  close() {
    this.node.hidden = true;
  }

  #paint() {
    this.#complain("");
    const wanted = this.recipients.typed.toLowerCase();
    const known = new Map(state.contacts);
    for (const one of state.sorted()) for (const peer of peersOf(one)) if (!known.has(peer)) known.set(peer, "");
    const people = [...known]
      .map(([number, name]) => ({ number, name }))
      .filter(({ number, name }) => !wanted || name.toLowerCase().includes(wanted) || has(number, wanted))
      .sort((one, other) => Number(!one.name) - Number(!other.name) || one.name.localeCompare(other.name))
      .slice(0, 200);
    const isGroup = this.#most() > 1;
    reconcile(this.people, people, (one) => one.number, (one) => this.#person(one), (node, one) => paintPerson(node, one, this.recipients, isGroup));
  }

  #person({ number }) {
    return el(
      "li",
      { class: "person" },
      el("button", { type: "button", class: "person-main", on: { click: () => this.#choose(number) } }, avatar(), el("bdi", { class: "row-name" }), el("span", { class: "person-number" })),
      iconButton("plus", "", () => this.#toggle(number), { class: "icon-button add" }),
      iconButton("edit", t("Name of {number}", { number: spoken(number) }), () => editContact([number])),
    );
  }

  // One touch writes to somebody; once others are chosen, it adds them, or takes them out again.
  #choose(number) {
    if (this.recipients.numbers.length) this.#toggle(number);
    else this.#write([number]);
  }

  #toggle(number) {
    if (this.recipients.has(number)) this.recipients.remove(number);
    else this.recipients.add(number);
    this.recipients.field.focus({ preventScroll: true });
  }

  #submit(event) {
    event.preventDefault();
    const written = this.recipients.typed.split(/[,;]/).map((part) => part.trim()).filter(Boolean);
    const only = this.people.children.length === 1 ? this.people.firstElementChild.dataset.key : null;
    const typed = written.map((part) => this.recipients.resolve(part) ?? (written.length === 1 ? only : null));
    const numbers = [...new Set([...this.recipients.numbers, ...typed])];
    if (!numbers.length || numbers.includes(null)) {
      return this.#complain(t("Write a phone number, such as (303) 555-0177, or choose a contact."));
    }
    const most = this.#most();
    if (numbers.length > most) {
      return this.#complain(many(most, "This number sends to one person at a time.", "This number sends to at most {count} people at once."));
    }
    return this.#write(numbers);
  }

  // How many people a text from the chosen number may go to.
  #most() {
    return state.me?.numbers.find((one) => one.number === this.#number())?.limits?.max_recipients ?? 1;
  }

  #number() {
    return this.from.value || state.me?.numbers[0]?.number;
  }

  #write(peers) {
    if (!this.#number()) return this.#complain(t("Your extension has no number yet. Ask your administrator."));
    // A contact is written to from the number last used with it, unless there is a choice to make.
    const last = state.sorted().find((one) => this.fromRow.hidden && peersOf(one).join() === peers.join());
    const number = last?.number ?? this.#number();
    if (this.draft) drafts.add(draftKey(number, peers), this.draft);
    location.replace(`#/to/${number}/${peers.map(encodeURIComponent).join()}`);
    return undefined;
  }

  #complain(words) {
    this.problem.textContent = words;
    this.problem.hidden = !words;
  }
}

function paintPerson(node, { number, name }, recipients, isGroup) {
  const [main, add] = node.children;
  const isChosen = recipients.has(number);
  paintAvatar(main.children[0], [number]);
  main.children[1].textContent = name || spoken(number);
  main.children[2].textContent = name ? spoken(number) : "";
  add.hidden = !isGroup;
  add.classList.toggle("chosen", isChosen);
  add.setAttribute("aria-pressed", String(isChosen));
  add.setAttribute("aria-label", t("Add {name}", { name: name || spoken(number) }));
  add.title = isChosen ? t("Take out") : t("Add, for a group");
  add.querySelector("use").setAttribute("href", isChosen ? "#icon-check" : "#icon-plus");
}

function has(number, wanted) {
  const digits = wanted.replace(/[\s().+-]/g, "");
  return /^\d+$/.test(digits) && number.includes(digits);
}

function label(number) {
  const name = ownName(number);
  return name === spoken(number) ? name : `${name} · ${spoken(number)}`;
}
