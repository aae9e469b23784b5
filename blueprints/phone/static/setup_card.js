// A card above the list that offers notifications and installing, until the user has them or closes it.
// Closed, it comes back once, with the next text.

import { failureReason } from "./api.js";
import * as db from "./db.js";
import { el, iconButton } from "./dom.js";
import { homeScreen, isApple, isInstalled } from "./home_screen.js";
import * as push from "./push.js";
import { state } from "./state.js";
import { t } from "./words.js";

const KEY = "setup_card";
const FIRST = "first";
const CLOSED = "closed"; // until the next text
const AGAIN = "again";
const NEVER = "never";

export class SetupCard {
  #stage = NEVER; // until it is known

  constructor() {
    this.words = el("p", { class: "setup-words" });
    this.problem = el("p", { class: "problem", role: "alert", hidden: true });
    this.notify = el("button", { type: "button", class: "small-button primary", text: t("Turn on notifications"), on: { click: () => this.#turnOn() } });
    this.install = el("button", { type: "button", class: "small-button", text: t("Install"), on: { click: () => homeScreen.install() } });
    this.node = el(
      "section",
      { class: "setup", "aria-labelledby": "setup-title", hidden: true },
      el("h2", { id: "setup-title", text: t("Do not miss a text") }),
      iconButton("close", t("Not now"), () => this.#close()),
      this.words,
      this.problem,
      el("div", { class: "actions" }, this.notify, this.install),
    );
    document.getElementById("conversations").before(this.node);
    homeScreen.addEventListener("change", () => this.#paint());
    state.addEventListener("me", () => this.#paint());
    state.addEventListener("news", () => this.#stage === CLOSED && this.#move(AGAIN));
  }

  async recall() {
    this.#stage = (await db.get(KEY)) ?? FIRST;
    this.#paint();
  }

  #paint() {
    const canNotify = Boolean(state.me) && push.ability() === "yes" && !push.isOn();
    const bySharing = isApple() && !isInstalled();
    this.notify.hidden = !canNotify;
    this.install.hidden = !homeScreen.isOffered;
    this.words.textContent = bySharing
      ? t("Install the app to be notified: tap Share, then “Add to Home Screen”. The installed app needs a code of its own from your administrator.")
      : canNotify
        ? t("Notifications come when the app is closed, too.")
        : t("Installed, the app opens like any other.");
    this.node.hidden = [CLOSED, NEVER].includes(this.#stage) || !(canNotify || homeScreen.isOffered || bySharing);
  }

  async #turnOn() {
    this.problem.hidden = true;
    try {
      if (await push.turnOn()) return this.#paint();
      this.problem.textContent = push.REASONS.denied;
    } catch (error) {
      this.problem.textContent = error instanceof DOMException ? error.message : failureReason(error);
    }
    this.problem.hidden = false;
    return undefined;
  }

  #close() {
    document.getElementById("new").focus({ preventScroll: true });
    this.#move(this.#stage === FIRST ? CLOSED : NEVER);
  }

  #move(stage) {
    this.#stage = stage;
    db.set(KEY, stage);
    this.#paint();
  }
}
