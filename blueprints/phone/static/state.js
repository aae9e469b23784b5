// State of the app: device, conversations, messages, contacts. Views listen for changes.

import { call, Refused, Unreachable } from "./api.js";
import * as db from "./db.js";
import { Renewals } from "./renewals.js";
import { ScheduledTexts, stateOf } from "./scheduled_texts.js";

const PAGE = 50;
const MOST_KEPT = 4000;
const TEMPLATES_PATIENCE = 4000; // milliseconds; the user waits with a “/” in the field

class State extends EventTarget {
  me = null;
  connected = true;
  contacts = new Map(); // number -> name
  notes = new Map(); // number -> note, of contacts that have one
  people = new Map(); // extension -> {extension, name, numbers}: colleagues, and our numbers that they share
  conversations = new Map(); // id -> conversation
  schedule = new ScheduledTexts();
  nextCursor = null;
  #messages = new Map(); // conversation id -> Map of message id -> message
  #templates = new Map(); // our number and theirs -> templates, filled in for them
  #reached = new Map(); // conversation id -> {from, more}: all messages since `from` are here
  #renewals = new Renewals((id) => this.conversations.has(id) && this.#loadAgain(id));

  tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  // Start with the data stored on this device, so that something is shown at once.
  async recall() {
    this.me = (await db.get("me")) ?? null;
    for (const one of await db.all("conversations")) this.conversations.set(one.id, one);
    this.#keepContacts(await db.all("contacts"));
    this.#keepPeople((await db.get("people")) ?? []);
    await this.schedule.recall();
  }

  // Load who we are and the lists; returns the token from which to follow what happens.
  async refresh() {
    const me = await call("GET", "me");
    await this.#keepMe(me);
    this.#reached.clear();
    const lists = [this.loadContacts(), this.loadPeople(), this.#loadTemplates(), this.schedule.load()];
    const [page] = await Promise.all([call("GET", `conversations?limit=${PAGE}`), ...lists]);
    this.conversations = new Map(page.items.map((one) => [one.id, one]));
    this.nextCursor = page.next_cursor;
    await db.replace("conversations", page.items);
    this.tell("conversations");
    this.tell("reset");
    return me.sync_token;
  }

  // The data stored on this device may be deleted at the server by now.
  async startOver() {
    this.#messages.clear();
    await db.replace("messages", []);
    return this.refresh();
  }

  async loadMe() {
    await this.#keepMe(await call("GET", "me"));
  }

  async #keepMe(me) {
    this.me = me;
    await db.set("me", me);
    this.tell("me");
  }

  async loadMoreConversations() {
    if (this.nextCursor) this.nextCursor = await this.loadConversations("", this.nextCursor);
  }

  // Bring a page of conversations here, of a `query` or all; returns the cursor of the next page, or null.
  async loadConversations(query, cursor = null) {
    const asked = [`limit=${PAGE}`, query, cursor && `cursor=${cursor}`].filter(Boolean);
    const page = await call("GET", `conversations?${asked.join("&")}`);
    for (const one of page.items) this.conversations.set(one.id, one);
    await db.put("conversations", ...page.items);
    this.tell("conversations");
    return page.next_cursor;
  }

  // A conversation, from the server if it is not known here. Throws `Refused` if there is none.
  async conversation(id) {
    if (!this.conversations.has(id)) this.#keep(await call("GET", `conversations/${id}`));
    return this.conversations.get(id);
  }

  // The conversation as the server has it now: who has opted out may have changed.
  async renew(id) {
    this.changeConsent(id, await call("GET", `conversations/${id}`));
  }

  changeConsent(id, { opt_outs, closed_reason, opt_out_suggested, blocked, blocked_peers }) {
    const known = this.conversations.get(id);
    if (!known) return;
    this.#keep({ ...known, opt_outs, closed_reason, opt_out_suggested, blocked, blocked_peers });
    this.tell("consent", { id });
  }

  sorted() {
    const shown = [...this.conversations.values()].filter((one) => !one.blocked);
    return shown.sort((one, other) => Number(other.pinned ?? false) - Number(one.pinned ?? false) || other.last_seq - one.last_seq);
  }

  // For the badge and the title: as `unread_total` of a push, without muted conversations.
  get unread() {
    return this.sorted().reduce((sum, one) => sum + (one.muted ? 0 : one.unread_count), 0);
  }

  // Messages

  messages(id) {
    const from = this.#reached.get(id)?.from ?? 0;
    const known = [...(this.#messages.get(id)?.values() ?? [])].filter((one) => one.seq >= from);
    return known.sort((one, other) => one.seq - other.seq);
  }

  hasMore(id) {
    return this.#reached.get(id)?.more ?? false;
  }

  isLoaded(id) {
    return this.#reached.has(id);
  }

  // The stored messages of a conversation, then the newest page from the server.
  async open(id) {
    if (!this.#messages.has(id)) {
      this.#remember(id, await db.messagesOf(id));
      this.tell("messages", { id });
    }
    if (!this.isLoaded(id)) await this.loadOlder(id);
  }

  async loadOlder(id, limit = PAGE) {
    const before = this.#reached.get(id)?.from;
    const page = await call("GET", `conversations/${id}/messages?limit=${limit}${before ? `&before=${before}` : ""}`);
    const oldest = page.items.at(-1)?.seq ?? before ?? 0;
    this.#remember(id, page.items);
    this.#reached.set(id, { from: page.has_more ? oldest : 0, more: page.has_more });
    await db.put("messages", ...page.items);
    this.tell("messages", { id });
  }

  // Load further back until this message is there.
  async loadBackTo(id, seq) {
    while (this.hasMore(id) && this.#reached.get(id).from > seq) await this.loadOlder(id, 200);
  }

  async reload(messageId) {
    await this.take(await call("GET", `messages/${messageId}`));
  }

  #remember(id, found) {
    if (!this.#messages.has(id)) this.#messages.set(id, new Map());
    const known = this.#messages.get(id);
    for (const message of found) {
      const before = known.get(message.id);
      if (!before || before.updated_at <= message.updated_at) known.set(message.id, message);
    }
  }

  // A message, new or changed, as an answer or an event brings it.
  async take(message) {
    this.#remember(message.conversation_id, [message]);
    await db.put("messages", message);
    if (await this.schedule.take(message)) this.tell("conversations");
    const known = this.conversations.get(message.conversation_id);
    const waits = ["scheduled", "cancelled"].includes(stateOf(message)); // the newest only where there is no other
    if (!known) await this.conversation(message.conversation_id);
    else if (waits ? message.id === known.last_message?.id : message.seq >= known.last_seq) {
      const isNew = message.seq > known.last_seq;
      const unread = isNew && message.direction === "in" && message.seq > known.read_seq ? 1 : 0;
      const newer = message.seq > known.last_seq || (known.last_message?.updated_at ?? "") <= message.updated_at;
      this.#keep({
        ...known,
        last_message: newer ? message : known.last_message,
        last_seq: message.seq,
        unread_count: known.unread_count + unread,
      });
    }
    this.tell("messages", { id: message.conversation_id });
  }

  // Scheduled texts. What the server refuses is `Refused`, also if it was sent meanwhile.

  async changeScheduled(id, change) {
    const message = await call("PATCH", `messages/${id}`, { body: change });
    await this.take(message);
    return message;
  }

  async cancelScheduled(id) {
    await this.take(await call("DELETE", `messages/${id}`));
  }

  async sendScheduled(id) {
    await this.take(await call("POST", `messages/${id}/send`));
  }

  // Apply an event of /sync or /events.
  async happened(event) {
    if (event.message) {
      const isNews = event.message.direction === "in" && event.type === "message.created";
      await this.take(event.message);
      if (isNews) this.tell("news", { message: event.message });
    } else if (event.type === "conversation.read") {
      const known = this.conversations.get(event.conversation_id);
      if (known) this.#keep({ ...known, read_seq: event.read_seq, unread_count: event.unread_count });
    } else if (event.type === "conversation.updated") {
      const known = this.conversations.get(event.conversation_id);
      const { owner, group, done } = event;
      if (known) this.#keep({ ...known, owner, group, done });
    } else if (event.type === "conversation.marked") {
      const known = this.conversations.get(event.conversation_id);
      const { muted, pinned } = event;
      if (known) this.#keep({ ...known, muted, pinned });
    } else if (event.type === "message.deleted") await this.forgetMessage(event.conversation_id, event.message_id);
    else if (event.type === "conversation.deleted") await this.forgetConversation(event.conversation_id);
  }

  // Delete a message, or all messages of a conversation, for everybody who has the number.
  async deleteMessage({ conversation_id, id }) {
    await call("DELETE", `messages/${id}?permanently=true`);
    await this.forgetMessage(conversation_id, id);
  }

  // Resolves to how many messages are still there.
  async deleteConversation(id) {
    const { kept } = await call("DELETE", `conversations/${id}`);
    if (!kept) await this.forgetConversation(id);
    return kept;
  }

  // A message was deleted at the server; its conversation follows soon, once for many messages.
  async forgetMessage(conversationId, id) {
    this.#messages.get(conversationId)?.delete(id);
    await db.remove("messages", id);
    await this.schedule.forget((one) => one.id === id);
    this.#renewals.add(conversationId);
    this.tell("messages", { id: conversationId });
  }

  // A conversation was deleted at the server, with all its messages.
  async forgetConversation(id) {
    const kept = await db.messagesOf(id);
    this.#messages.delete(id);
    this.#reached.delete(id);
    this.conversations.delete(id);
    await Promise.all([db.remove("conversations", id), ...kept.map((one) => db.remove("messages", one.id))]);
    await this.schedule.forget((one) => one.conversation_id === id);
    this.tell("conversations");
    this.tell("deleted", { id });
  }

  // The newest message of a conversation, or the whole of it, may be gone.
  async #loadAgain(id) {
    try {
      this.#keep(await call("GET", `conversations/${id}`));
    } catch (error) {
      if (!(error instanceof Refused && error.status === 404)) throw error;
      await this.forgetConversation(id);
    }
  }

  // Give a conversation to an extension or to nobody (`owner`), or set it to `done`.
  async assign(id, change) {
    const assigned = await call("POST", `conversations/${id}/assign`, { body: change });
    this.#keep({ ...this.conversations.get(id), ...assigned });
  }

  // Set a mark ("mute" or "pin") of a conversation for this extension, or take it away.
  async mark(id, mark, isSet) {
    const marks = await call(isSet ? "PUT" : "DELETE", `conversations/${id}/${mark}`);
    this.#keep({ ...this.conversations.get(id), ...marks });
  }

  async read(id) {
    const known = this.conversations.get(id);
    if (!known || !known.unread_count) return;
    const mark = await call("POST", `conversations/${id}/read`, { body: { up_to_seq: known.last_seq } });
    this.#keep({ ...this.conversations.get(id), ...mark });
  }

  // The newest text that came in counts as unread again.
  async markUnread(id) {
    const mark = await call("DELETE", `conversations/${id}/read`);
    this.#keep({ ...this.conversations.get(id), ...mark });
  }

  #keep(conversation) {
    this.conversations.set(conversation.id, conversation);
    db.put("conversations", conversation);
    this.tell("conversations");
  }

  // Contacts

  async loadContacts() {
    const { items } = await call("GET", "contacts");
    this.#keepContacts(items);
    await db.replace("contacts", items);
    this.tell("contacts");
  }

  #keepContacts(items) {
    this.contacts = new Map(items.map((one) => [one.number, one.name]));
    this.notes = new Map(items.filter(({ note }) => note).map((one) => [one.number, one.note]));
  }

  async nameNumber(number, name, note) {
    if (name) await call("PUT", `contacts/${encodeURIComponent(number)}`, { body: { name, note } });
    else await call("DELETE", `contacts/${encodeURIComponent(number)}`);
    await this.loadContacts();
  }

  // Colleagues

  async loadPeople() {
    const { items } = await call("GET", "extensions");
    this.#keepPeople(items);
    await db.set("people", items);
    this.tell("people");
    this.tell("conversations");
  }

  #keepPeople(items) {
    this.people = new Map(items.map((one) => [one.extension, one]));
  }

  // Templates

  // The list for times without a connection: filled in for nobody, and for the default number.
  async #loadTemplates() {
    await db.set("templates", (await call("GET", "templates")).items);
  }

  // The templates, filled in for a conversation (`id`), or what may become one; without a connection the last known ones.
  async templates({ id, number, peers }) {
    const key = `${number} ${peers.join()}`;
    const query = new URLSearchParams(id ? { conversation_id: id } : { from: number });
    if (!id && peers.length === 1) query.set("to", peers[0]);
    try {
      if (this.connected) this.#templates.set(key, (await call("GET", `templates?${query}`, { patience: TEMPLATES_PATIENCE })).items);
    } catch (error) {
      if (!(error instanceof Unreachable || error instanceof Refused)) throw error;
    }
    if (this.#templates.has(key)) return this.#templates.get(key);
    const isDefault = this.me?.numbers.find((one) => one.default)?.number === number;
    const known = (await db.get("templates")) ?? [];
    return known.filter(({ text }) => isDefault || !text.includes("{number}"));
  }

  // Limit what is stored on the device.
  async tidy() {
    const kept = await db.all("messages");
    if (kept.length > MOST_KEPT) {
      await db.replace("messages", kept.sort((one, other) => other.seq - one.seq).slice(0, MOST_KEPT / 2));
    }
  }

  setConnected(connected) {
    if (this.connected === connected) return;
    this.connected = connected;
    this.tell("connection");
  }
}

export const state = new State();
