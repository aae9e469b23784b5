// Pairing page: a code of the operator makes this browser a device of an extension.

import { Refused, Unreachable, call } from "./api.js";
import { say } from "./dom.js";
import { isApple, isInstalled } from "./home_screen.js";
import { t } from "./words.js";

export class Pairing {
  // `paired({token, device_id, extension})` is called with the answer of the server.
  constructor(paired) {
    this.page = document.getElementById("pairing");
    this.form = this.page.querySelector("form");
    this.code = document.getElementById("code");
    this.name = document.getElementById("device");
    this.problem = document.getElementById("pairing-problem");
    this.paired = paired;
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#pair();
    });
    this.code.addEventListener("input", () => this.#spaced());
    this.installFirst = document.getElementById("install-first");
    document.getElementById("connect-here").addEventListener("click", () => this.#showForm());
    document.getElementById("copy-code").addEventListener("click", () => this.#copy());
  }

  open(code, words = "") {
    this.page.hidden = false;
    this.name.value ||= guess();
    if (code) this.code.value = code;
    this.#complain(words);
    if (isApple() && !isInstalled() && !words) this.#offerInstalling(code);
    else this.#showForm();
  }

  // What is paired in Safari is not paired in the installed app, and a code works once.
  #offerInstalling(code) {
    this.form.hidden = true;
    this.installFirst.hidden = false;
    document.getElementById("kept-code").hidden = !code;
    document.querySelector("#kept-code b").textContent = code ?? "";
    document.getElementById("copy-code").hidden = !navigator.clipboard;
  }

  #showForm() {
    this.installFirst.hidden = true;
    this.form.hidden = false;
    (this.code.value ? this.form.querySelector("button") : this.code).focus();
  }

  async #copy() {
    await navigator.clipboard.writeText(this.code.value).then(() => say(t("Copied.")), () => say(t("It could not be copied.")));
  }

  close() {
    this.page.hidden = true;
    this.code.value = "";
  }

  async #pair() {
    const button = this.form.querySelector("button");
    button.disabled = true;
    this.#complain("");
    try {
      const device = { name: this.name.value.trim() || guess(), platform: "web" };
      await this.paired(await call("POST", "pair", { body: { code: this.code.value, device } }));
    } catch (error) {
      if (!(error instanceof Refused || error instanceof Unreachable)) throw error;
      this.#complain(error instanceof Refused ? error.message : t("The server cannot be reached. Try again."));
      this.code.focus();
    } finally {
      button.disabled = false;
    }
  }

  // ABCD2345 is shown as ABCD-2345 while it is typed.
  #spaced() {
    const plain = this.code.value.toUpperCase().replace(/[^A-Z0-9]/g, "").slice(0, 8);
    const spaced = plain.length > 4 ? `${plain.slice(0, 4)}-${plain.slice(4)}` : plain;
    if (this.code.selectionStart === this.code.value.length) this.code.value = spaced;
  }

  #complain(words) {
    this.problem.textContent = words;
    this.problem.hidden = !words;
  }
}

// What this device is most likely called.
function guess() {
  const agent = navigator.userAgent;
  const known = { iPhone: "iPhone", iPad: "iPad", Android: t("Android phone"), Windows: t("Windows computer"), Macintosh: "Mac", CrOS: "Chromebook", Linux: t("Linux computer") };
  return Object.entries(known).find(([word]) => agent.includes(word))?.[1] ?? t("Browser");
}
