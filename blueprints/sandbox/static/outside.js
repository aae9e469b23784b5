// The outside phone: sends by the carrier's webhook, and answers messages with a receipt.

import { call, follow, freshId } from "./calls.js";
import { Composer } from "./composer.js";
import { Screen } from "./texts.js";

const MEMBER = "+13035550178"; // the other member of the group
const LATE = 20_000; // milliseconds until a text arrives late

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
    for (const [name, text, group] of [["stop", "STOP"], ["start", "START"], ["group", "Who is coming?", [MEMBER]]]) {
      device.querySelector(`[data-simulate=${name}]`).addEventListener("click", () => this.#simulate(text, group));
    }
    this.next = [...device.querySelectorAll("[data-next]")];
    for (const one of this.next) one.addEventListener("click", () => this.#choose(one.ariaPressed === "true" ? null : one));
    this.late = new Set(); // ids of texts that arrive late
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

  async send(text, picture, group = []) {
    this.incoming.begin();
    const event = { id: freshId(), from: this.number, to: this.session.number, text, media: picture ? [picture] : [], group };
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

  async #simulate(text, group) {
    try {
      await this.send(text, null, group);
      if (group) this.screen.say(`Sent to a group with ${group}: a conversation of its own. The phone app shows it.`, true);
    } catch (error) {
      this.composer.complain(error.message);
    }
  }

  // What becomes of the next text that comes to this phone: a button of `next`, or none.
  #choose(chosen) {
    for (const one of this.next) one.ariaPressed = String(one === chosen);
  }

  #fate() {
    if (this.switch.checked) return "off";
    const chosen = this.next.find((one) => one.ariaPressed === "true");
    this.#choose(null);
    return chosen?.dataset.next ?? "delivered";
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
    if (text.status !== "sent" || this.late.has(text.id)) return undefined;
    const fate = this.#fate();
    if (fate === "late") {
      this.late.add(text.id);
      this.screen.say(`A text is on its way. It arrives in ${LATE / 1000} seconds.`, true);
      setTimeout(() => this.#arrive(text, live), LATE);
      return undefined;
    }
    if (fate === "delivered") return this.#arrive(text, live);
    this.screen.say(fate === "off" ? "A text came while this phone was off. It is lost." : "A text was refused. It is lost.");
    if (live) this.outgoing.reach("arrived", "bad");
    return this.#webhook({ receipt: text.id, status: "failed" });
  }

  #arrive(text, live) {
    this.#show(text);
    if (live) this.outgoing.reach("arrived");
    return this.#webhook({ receipt: text.id, status: "delivered" });
  }

  #show(text) {
    this.screen.show({
      ...text,
      mine: text.sent,
      who: text.sent ? "Phone outside" : this.session.author,
      at: new Date(text.at * 1000),
    });
  }

  #switched() {
    const off = this.switch.checked;
    this.device.classList.toggle("off", off);
    this.composer.enable(!off);
  }
}
