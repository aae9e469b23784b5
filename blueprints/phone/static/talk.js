// View of one conversation: its messages by day, their statuses, and the composer.

import { Refused, Unreachable } from "./api.js";
import { avatar, paintAvatar } from "./avatar.js";
import { BackButton } from "./back.js";
import { bubble, paintBubble } from "./bubble.js";
import { Composer } from "./composer.js";
import { ConsentNotice } from "./consent.js";
import { openConversationMenu } from "./conversation_menu.js";
import { el, icon, iconButton, reconcile, say } from "./dom.js";
import { acceptFiles } from "./drop.js";
import { openMessageMenu } from "./message_menu.js";
import { MessageMenus } from "./message_menu_triggers.js";
import { chooseNumber, editContact } from "./people.js";
import { outbox } from "./outbox.js";
import { ScheduledSection } from "./scheduled_section.js";
import { state } from "./state.js";
import { timeline } from "./timeline.js";
import { authorOf, laterAt, ownName, peersOf, sameMembers, spoken, titleOf } from "./format.js";
import { whyItWaits } from "./reasons.js";
import { many, t } from "./words.js";

const NEAR = 120; // pixels from the end that still count as the end

export class Talk {
  constructor(back) {
    this.back = back;
    this.pane = document.getElementById("talk");
    this.backButton = new BackButton(back);
    this.face = avatar();
    this.name = el("bdi", { class: "talk-name" });
    this.under = el("span", { class: "talk-under" });
    this.title = el("button", { type: "button", class: "talk-title", on: { click: () => this.#edit() } }, this.face, el("h1", {}, this.name), this.under);
    this.call = el("a", { class: "icon-button", href: "#/", "aria-label": t("Call"), title: t("Call") }, icon("call"));
    this.menu = iconButton("more", t("Menu of this conversation"), () => openConversationMenu(this.id), { "aria-haspopup": "dialog" });
    this.log = el("div", { class: "log" });
    this.scheduled = new ScheduledSection();
    this.older = el("p", { class: "older", text: t("Loading …"), hidden: true });
    this.scroller = el("div", { class: "talk-scroll", role: "log", "aria-live": "off", tabindex: "0" }, this.older, this.log, this.scheduled.node);
    this.newer = el("button", { type: "button", class: "newer", hidden: true, on: { click: () => this.#toEnd() } }, t("New messages"));
    this.notice = new ConsentNotice();
    this.composer = new Composer((written) => this.#send(written), () => this.#otherNumber(), () => state.templates(this));
    this.node = el(
      "div",
      { class: "talk", hidden: true },
      el("header", { class: "bar" }, this.backButton.node, this.title, this.call, this.menu),
      this.scroller,
      this.newer,
      el("div", {}, this.notice.node, this.composer.node),
    );
    this.pane.append(this.node);
    acceptFiles(this.node, () => this.#canAttach, (files) => this.composer.attachFiles(files));
    this.menus = new MessageMenus(this.log, (key) => this.#openMenu(key));
    this.scroller.addEventListener("scroll", () => this.#scrolled());
    this.pane.addEventListener("keydown", (event) => this.#key(event, back));
    state.addEventListener("messages", ({ detail }) => detail.id === this.id && this.#update());
    for (const type of ["contacts", "me", "conversations"]) state.addEventListener(type, () => this.isOpen && this.#paintHead());
    state.addEventListener("consent", ({ detail }) => detail.id === this.id && (this.#paintConsent(), this.#update()));
    state.addEventListener("deleted", ({ detail }) => detail.id === this.id && this.#deleted());
    state.addEventListener("reset", () => this.isOpen && this.id && this.#load());
    state.addEventListener("news", ({ detail }) => this.#news(detail.message));
    outbox.addEventListener("change", () => this.isOpen && this.#update());
    state.addEventListener("connection", () => this.isOpen && this.#update());
    outbox.addEventListener("sent", ({ detail }) => this.#arrived(detail));
    document.addEventListener("visibilitychange", () => this.#markRead());
    const sizes = new ResizeObserver(() => this.atEnd && this.#toEnd());
    for (const node of [this.scroller, this.log]) sizes.observe(node);
  }

  get isOpen() {
    return !this.node.hidden;
  }

  close() {
    this.node.hidden = true;
    this.id = null;
  }

  // Open a conversation; with `seq` at that message.
  async open(id, seq) {
    const conversation = await state.conversation(id);
    this.#begin(id, conversation.number, peersOf(conversation));
    await this.#load();
    if (this.id === id && seq) await this.#show(seq);
  }

  // Open what may become a conversation with the first message.
  openNew(number, peers) {
    const known = state.sorted().find((one) => one.number === number && sameMembers(peersOf(one), peers));
    if (known) return this.open(known.id);
    this.#begin(null, number, peers);
    return undefined;
  }

  #begin(id, number, peers) {
    Object.assign(this, { id, number, peers, atEnd: true });
    this.log.replaceChildren();
    this.scheduled.begin();
    this.node.hidden = false;
    this.newer.hidden = true;
    this.#paintHead();
    this.#paintConsent();
    this.composer.open(number, peers);
    this.#update();
    this.#toEnd();
    this.composer.focusOnDesk();
  }

  async #load() {
    const { id } = this;
    try {
      await state.open(id);
      await state.renew(id);
      if (this.id === id) this.#markRead();
    } catch (error) {
      if (error instanceof Refused && error.status === 404) this.id === id && this.back(); // it was deleted
      else if (!(error instanceof Unreachable)) throw error; // show the messages stored on this device
    }
  }

  // Here, or on another device.
  #deleted() {
    say(t("This conversation was deleted."));
    this.back();
  }

  #paintConsent() {
    const keep = this.atEnd;
    this.composer.node.hidden = !this.notice.paint(this.id);
    if (keep) this.#toEnd();
  }

  async #renew() {
    try {
      await state.renew(this.id);
    } catch (error) {
      if (!(error instanceof Unreachable || error instanceof Refused)) throw error;
    }
  }

  #paintHead() {
    const { peers, number } = this;
    this.backButton.paint(this.id);
    paintAvatar(this.face, peers);
    this.name.textContent = titleOf(peers);
    const several = (state.me?.numbers.length ?? 0) > 1;
    const who = peers.length > 1 ? many(peers.length, "{count} person", "{count} people") : state.contacts.has(peers[0]) ? spoken(peers[0]) : t("Add a name");
    const known = state.conversations.get(this.id);
    this.under.textContent = [who, several && ownName(number), known && ownerOf(known)].filter(Boolean).join(" · ");
    this.title.title = peers.length > 1 ? t("The people of this conversation") : t("Name of this number");
    this.call.hidden = peers.length > 1 || !/^\+?\d+$/.test(peers[0]);
    this.call.href = `tel:${peers[0]}`;
    this.menu.hidden = !known;
    this.scroller.setAttribute("aria-label", t("Messages with {names}", { names: titleOf(peers) }));
    this.composer.field.setAttribute("aria-label", t("Message to {names}", { names: titleOf(peers) }));
  }

  // Messages

  #update() {
    const keep = this.atEnd;
    const first = this.log.querySelector(".message");
    const before = first?.offsetTop;
    this.older.hidden = !state.hasMore(this.id);
    this.rows = timeline(this);
    reconcile(this.log, this.rows, (row) => row.key, make, paint);
    this.menus.paint();
    this.scheduled.paint(this);
    if (keep) this.#toEnd();
    else if (first?.isConnected) this.scroller.scrollTop += first.offsetTop - before; // older ones came above
    this.#markRead();
  }

  async #send({ text, files, send_at }) {
    this.atEnd = true;
    await outbox.add({ number: this.number, peers: this.peers, text, files, send_at });
    this.#update();
  }

  // The server has a message; the first one of a new conversation has made it one.
  #arrived({ entry, message }) {
    if (entry.send_at) say([t("Scheduled: {when}.", { when: laterAt(message.send_at) }), whyItWaits(message)].filter(Boolean).join(" "));
    if (this.id || !this.isOpen || entry.number !== this.number || !sameMembers(entry.peers, this.peers)) return;
    this.id = message.conversation_id;
    history.replaceState(null, "", `#/c/${message.conversation_id}`);
    dispatchEvent(new HashChangeEvent("hashchange"));
    this.#update();
    this.#load();
  }

  #news(message) {
    if (message.conversation_id !== this.id) return;
    if (!this.atEnd) this.newer.hidden = false;
    this.#renew();
  }

  get #canAttach() {
    return !this.composer.node.hidden && !this.composer.attach.hidden;
  }

  #openMenu(key) {
    const message = this.rows.find((row) => row.key === key);
    if (message?.seq) openMessageMenu(message, this.composer.node.hidden ? null : this.composer, () => this.focusMessages());
  }

  // Places

  #toEnd() {
    this.scroller.scrollTop = this.scroller.scrollHeight;
    this.atEnd = true;
    this.newer.hidden = true;
  }

  async #show(seq) {
    await state.loadBackTo(this.id, seq);
    const node = this.scroller.querySelector(`[data-seq="${seq}"]`);
    if (!node) return;
    this.atEnd = false;
    node.scrollIntoView({ block: "center" });
    node.classList.add("found");
    setTimeout(() => node.classList.remove("found"), 2500);
  }

  // What had the focus may be gone.
  focusMessages() {
    if (document.activeElement === document.body) this.scroller.focus({ preventScroll: true });
  }

  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.scroller;
    this.atEnd = scrollHeight - scrollTop - clientHeight < NEAR;
    if (this.atEnd) {
      this.newer.hidden = true;
      this.#markRead();
    }
    if (scrollTop < 300) this.#older();
  }

  async #older() {
    if (this.loading || !state.hasMore(this.id)) return;
    this.loading = true;
    try {
      await state.loadOlder(this.id);
    } catch (error) {
      if (!(error instanceof Unreachable)) throw error;
    }
    this.loading = false;
  }

  // Mark the messages on screen as read, for all devices of the extension.
  async #markRead() {
    const unread = this.id && state.conversations.get(this.id)?.unread_count;
    if (!unread || !this.isOpen || !this.atEnd || document.hidden || this.marking || !state.isLoaded(this.id)) return;
    this.marking = true;
    try {
      await state.read(this.id);
    } catch (error) {
      if (!(error instanceof Unreachable || error instanceof Refused)) throw error;
    }
    this.marking = false;
  }

  #key(event, back) {
    if (event.key !== "Escape" || event.defaultPrevented) return;
    if (!this.composer.emoji.hidden) this.composer.face.click();
    else back();
  }

  #edit() {
    editContact(this.peers, state.conversations.get(this.id));
  }

  async #otherNumber() {
    const number = await chooseNumber(this.number);
    if (number && number !== this.number) location.hash = `#/to/${number}/${this.peers.map(encodeURIComponent).join()}`;
  }
}

function ownerOf({ owner, done }) {
  if (done) return t("done");
  if (!owner) return "";
  if (owner === state.me?.extension) return t("yours");
  const isNamed = owner.includes("@") || state.people.get(owner)?.name;
  return isNamed ? t("{name} answers", { name: authorOf(owner) }) : t("extension {extension} answers", { extension: owner });
}

function make(row) {
  return row.heading ? el("h2", { class: "day" }) : bubble();
}

function paint(node, row) {
  if (!row.heading) return paintBubble(node, row);
  if (node.textContent !== row.heading) node.textContent = row.heading;
  return undefined;
}
