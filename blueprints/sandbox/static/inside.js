// The extension: a small client of the REST API, with a device's token and nothing else.

import { call, follow, freshId } from "./calls.js";
import { Composer } from "./composer.js";
import { Screen } from "./texts.js";

const NOTES = {
  queued: ["Waiting to leave"],
  sending: ["Leaving"],
  sent: ["Sent, waiting for the receipt"],
  delivered: ["Delivered", "good"],
  failed: ["Not delivered", "bad"],
  unknown: ["May not have been sent", "bad"],
};

export class Inside {
  constructor(session, incoming, outgoing) {
    const device = document.getElementById("inside");
    Object.assign(this, { session, incoming, outgoing });
    this.screen = new Screen(device);
    this.composer = new Composer(device, (text, picture) => this.send(text, picture));
    const chooser = device.querySelector("input[type=file]");
    device.querySelector(".attach").addEventListener("click", () => chooser.click());
    chooser.addEventListener("change", async () => {
      await this.composer.submit(chooser.files[0]);
      chooser.value = "";
    });
  }

  // Show the conversation with this number.
  async open(peer) {
    this.peer = peer;
    this.since = (await this.#api("GET", "me")).sync_token;
    const { items } = await this.#api("GET", "conversations?limit=200");
    this.screen.clear();
    const known = items.find((one) => one.number === this.session.number && one.peer === peer && !one.participants.length);
    if (!known) return;
    const page = await this.#api("GET", `conversations/${known.id}/messages?limit=100`);
    for (const message of page.items.reverse()) this.#show(message);
  }

  follow(signal, silent) {
    const ask = async (seconds) => {
      const news = await this.#api("GET", `sync?since=${this.since}&timeout=${seconds}`, { signal });
      this.since = news.next;
      if (news.reset) await this.open(this.peer);
      for (const event of news.events) if (event.message) this.#take(event.message);
    };
    return follow(ask, signal, silent);
  }

  async send(text, picture) {
    this.outgoing.begin();
    this.clientId = freshId();
    const message = { from: this.session.number, to: this.peer, text, client_id: this.clientId };
    this.wrote?.(message);
    try {
      if (picture) message.media_ids = [await this.#upload(picture)];
      this.#take(await this.#api("POST", "messages", { body: message }));
    } catch (error) {
      this.outgoing.stop("queued");
      throw error;
    }
  }

  async #upload(picture) {
    const file = new FormData();
    file.append("file", picture);
    return (await this.#api("POST", "media", { file })).id;
  }

  #api(method, path, more) {
    return call(method, `/api/v1/${path}`, { token: this.session.token, ...more });
  }

  #take(message) {
    const inbound = message.direction === "in";
    const peers = inbound ? [message.from, ...message.to.filter((one) => one !== this.session.number)] : message.to;
    if (peers.length !== 1 || peers[0] !== this.peer) return;
    this.#show(message);
    if (inbound) this.incoming.reach("seen");
    else if (message.client_id === this.clientId) this.#follow(message.status);
  }

  #follow(status) {
    this.outgoing.reach("queued");
    if (["sent", "delivered"].includes(status)) this.outgoing.reach("sent");
    if (status === "delivered") this.outgoing.reach("receipt");
    if (status === "failed" || status === "unknown") this.outgoing.reach("receipt", "bad");
  }

  #show(message) {
    const known = this.screen.bubbles.get(message.id);
    const at = message.updated_at;
    if (known?.dataset.at > at) return; // an older answer that came later
    const [note, tone] = NOTES[message.status] ?? [];
    this.screen.show({
      id: message.id,
      mine: message.direction === "out",
      who: message.direction === "out" ? this.session.author : "Phone outside",
      text: message.text,
      media: message.media,
      at: new Date(message.created_at),
      note: message.error?.reason ? `${note}: ${message.error.reason}` : note,
      tone,
    });
    this.screen.bubbles.get(message.id).dataset.at = at;
  }
}
