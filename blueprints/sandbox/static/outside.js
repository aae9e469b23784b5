// The outside phone: sends by the carrier's webhook, and answers messages with a receipt.

import { call, follow, freshId } from "./calls.js";
import { Composer } from "./composer.js";
import { Screen } from "./texts.js";

export class Outside {
  constructor(session, incoming, outgoing) {
    const device = document.getElementById("outside");
    Object.assign(this, { device, session, incoming, outgoing });
    this.screen = new Screen(device);
    this.composer = new Composer(device, (text, picture) => this.send(text, picture));
    this.switch = document.getElementById("off");
    this.switch.addEventListener("change", () => this.#switched());
    device.querySelector(".attach").addEventListener("click", () => this.composer.submit(session.picture));
    this.#switched();
  }

  // Become the phone with this number; a refusal is thrown. Returns the number as it is kept.
  async become(number) {
    const known = await this.#ask(number, 0, 0);
    this.following?.abort();
    this.following = new AbortController();
    this.number = known.number;
    this.since = known.next;
    this.screen.clear();
    for (const text of known.texts) this.#take(text);
    return known.number;
  }

  follow(silent) {
    const { signal } = this.following;
    const ask = async (seconds) => {
      const news = await this.#ask(this.number, this.since, seconds, signal);
      this.since = news.next;
      for (const text of news.texts) this.#take(text, true);
    };
    return follow(ask, signal, silent);
  }

  async send(text, picture) {
    this.incoming.begin();
    const event = { id: freshId(), from: this.number, to: this.session.number, text, media: picture ? [picture] : [] };
    this.wrote?.(event);
    this.incoming.reach("webhook");
    try {
      await this.#webhook(event);
    } catch (error) {
      this.incoming.stop("kept");
      throw error;
    }
    this.incoming.reach("kept");
  }

  #ask(number, since, timeout, signal) {
    const query = new URLSearchParams({ number, since, timeout });
    return call("GET", `/sandbox/phone?${query}`, { token: this.session.webhook_token, signal });
  }

  #webhook(event) {
    const query = new URLSearchParams({ token: this.session.webhook_token });
    return call("POST", `/webhook/sandbox/sms?${query}`, { body: event });
  }

  #take(text, live = false) {
    if (text.sent || text.status === "delivered") return this.#show(text);
    if (text.status !== "sent") return undefined;
    const status = this.switch.checked ? "failed" : "delivered";
    if (this.switch.checked) this.screen.say("A text came while this phone was off. It is lost.");
    else this.#show(text);
    if (live && !this.switch.checked) this.outgoing.reach("arrived");
    if (live && this.switch.checked) this.outgoing.reach("arrived", "bad");
    return this.#webhook({ receipt: text.id, status });
  }

  #show(text) {
    this.screen.show({
      ...text,
      mine: text.sent,
      who: text.sent ? "Phone outside" : `Extension ${this.session.extension}`,
      at: new Date(text.at * 1000),
    });
  }

  #switched() {
    const off = this.switch.checked;
    this.device.classList.toggle("off", off);
    this.composer.enable(!off);
  }
}
