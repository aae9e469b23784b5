// The composer: text, files, and the number of segments of a new message.

import { el, icon, iconButton, reconcile } from "./dom.js";
import { draftKey, drafts } from "./drafts.js";
import { emojiPanel } from "./emoji.js";
import { askWhen } from "./ask_when.js";
import { fitted } from "./pictures.js";
import { count } from "./segments.js";
import { state } from "./state.js";
import { TemplateList } from "./templates.js";
import { ownName, sizeOf, spoken } from "./format.js";
import { many, t } from "./words.js";

const HELD = 500; // milliseconds
const NOTHING = { text: "", files: [] };

export class Composer {
  #files = [];
  #nextFile = 0;

  // `send({text, files, send_at})` sends the message, or schedules it; `chooseNumber()` is called to send from another number;
  // `loadTemplates()` resolves to the templates of what is written here.
  constructor(send, chooseNumber, loadTemplates) {
    this.send = send;
    this.field = el("textarea", { rows: "1", maxlength: "10000", dir: "auto", "aria-describedby": "cost" });
    this.chooser = el("input", { type: "file", multiple: true, class: "hidden", tabindex: "-1", "aria-hidden": "true" });
    this.strip = el("ul", { class: "strip", "aria-label": t("Attached files") });
    this.problem = el("p", { class: "problem", role: "alert", hidden: true });
    this.cost = el("span", { class: "cost", id: "cost" });
    this.from = el("button", { type: "button", class: "from", on: { click: chooseNumber } });
    this.attach = iconButton("plus", t("Attach a picture or a file"), () => this.chooser.click());
    this.face = iconButton("smile", t("Emoji"), () => this.#toggleEmoji(), { "aria-expanded": "false" });
    this.button = el("button", { type: "submit", class: "send", "aria-label": t("Send"), title: t("Send") }, icon("arrow"));
    this.later = iconButton("clock", t("Send later"), () => this.#chooseTime(), { class: "icon-button later-button", "aria-haspopup": "dialog" });
    this.emoji = emojiPanel((sign) => this.#insert(sign));
    this.templates = new TemplateList(this.field, loadTemplates, (text) => this.#replace(text));
    this.node = el(
      "form",
      { class: "composer", autocomplete: "off" },
      this.templates.node,
      this.problem,
      this.strip,
      this.emoji,
      el("div", { class: "composer-row" }, this.attach, this.chooser, el("div", { class: "box" }, this.field, this.face), this.later, this.button),
      el("p", { class: "composer-foot" }, this.from, this.cost),
    );
    this.node.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    this.#holdToSchedule();
    this.field.addEventListener("input", () => this.#changed());
    this.field.addEventListener("keydown", (event) => this.#key(event));
    this.field.addEventListener("paste", (event) => this.#take(event.clipboardData.files, event));
    this.chooser.addEventListener("change", () => this.#take(this.chooser.files));
  }

  // Write to these people, from `number`.
  open(number, peers) {
    this.templates.close();
    Object.assign(this, { key: draftKey(number, peers), number });
    const own = state.me?.numbers.find((one) => one.number === number);
    const limits = own?.limits ?? state.me?.limits;
    this.limits = limits;
    this.attach.hidden = !(own?.mms ?? true);
    this.chooser.accept = (limits?.media_types ?? ["image/"]).map((kind) => (kind.endsWith("/") ? `${kind}*` : kind)).join();
    this.field.placeholder = t("Message");
    const several = (state.me?.numbers.length ?? 0) > 1;
    this.from.textContent = t("From {number}", { number: several ? ownName(number) : spoken(number) });
    this.from.disabled = !several;
    this.from.title = several ? t("Send from another number") : "";
    this.emoji.hidden = true;
    this.#complain("");
    this.#show(drafts.get(this.key));
  }

  get isEmpty() {
    return !this.field.value.trim() && !this.#files.length;
  }

  focus() {
    this.field.focus({ preventScroll: true });
  }

  // On a device without a keyboard, the on-screen one would cover half of the conversation.
  focusOnDesk() {
    if (matchMedia("(pointer: fine)").matches) this.focus();
  }

  get #written() {
    return { text: this.field.value, files: this.#files.map(({ blob, name }) => ({ blob, name })) };
  }

  // Clear the field at once: the user may write the next message while this one is stored.
  async #submit(sendAt) {
    if (this.isEmpty) return;
    const { key } = this;
    const { text, files } = this.#written;
    const written = { text: text.trim(), files };
    drafts.hold(key, NOTHING); // it is deleted from the storage once the message is there
    this.#show(NOTHING);
    this.emoji.hidden = true;
    this.#complain("");
    this.focus();
    try {
      await this.send({ ...written, send_at: sendAt?.toISOString() });
    } catch (error) {
      this.#putBack(key, written);
      this.#complain(error.name === "QuotaExceededError" ? t("The storage of this device is full.") : error.message);
      return;
    }
    await drafts.store(key).catch(() => {}); // the browser has no space left: what was written since is kept while the app runs
  }

  #chooseTime() {
    if (this.isEmpty || document.querySelector("dialog[open]")) return;
    const { key } = this;
    const sheet = askWhen(t("Send later"), t("Schedule"), (at) => {
      sheet.close();
      if (key === this.key) this.#submit(at);
    });
  }

  // The send button, held down, is “Send later” as well. Not every browser tells a long touch by `contextmenu`.
  #holdToSchedule() {
    let pressed = null;
    let isAsked = false; // by this press; some browsers tell a click after it
    this.button.addEventListener("pointerdown", ({ pointerType, timeStamp }) => {
      pressed = pointerType === "touch" ? timeStamp : null;
      isAsked = false;
    });
    this.button.addEventListener("click", (event) => {
      if (!event.detail || (!isAsked && (pressed === null || event.timeStamp - pressed < HELD))) return;
      event.preventDefault();
      if (!isAsked) this.#chooseTime();
    });
    this.button.addEventListener("contextmenu", (event) => {
      event.preventDefault();
      isAsked = true;
      this.#chooseTime();
    });
  }

  #show({ text, files }) {
    this.field.value = text;
    this.#files = files.map((file) => this.#numbered(file));
    this.#paint();
  }

  // A message that could not be stored comes back, before the text written since.
  #putBack(key, { text, files }) {
    const since = drafts.get(key);
    const both = { text: [text, since.text].filter(Boolean).join("\n"), files: [...files, ...since.files] };
    drafts.set(key, both);
    if (key === this.key) this.#show(both);
  }

  async #take(files, event) {
    if (!files.length) return;
    event?.preventDefault();
    this.#complain("");
    const { key } = this;
    for (const file of files) {
      if (this.#files.length >= this.limits.max_media) {
        this.#complain(many(this.limits.max_media, "A message takes at most {count} file.", "A message takes at most {count} files."));
        break;
      }
      const fit = await fitted(file, this.limits.max_media_bytes);
      if (key !== this.key) return; // another conversation was opened meanwhile
      if (!this.limits.media_types.some((kind) => fit.blob.type.startsWith(kind))) {
        this.#complain(t("“{name}” is of a kind that cannot be sent.", { name: fit.name }));
      } else if (fit.blob.size > this.limits.max_media_bytes) {
        this.#complain(t("“{name}” is too large: at most {size}.", { name: fit.name, size: sizeOf(this.limits.max_media_bytes) }));
      } else this.#files.push(this.#numbered(fit));
    }
    this.chooser.value = "";
    this.#changed();
    this.focus();
  }

  #key(event) {
    if (this.templates.key(event)) return;
    if (event.key !== "Enter" || event.isComposing) return;
    const touch = matchMedia("(pointer: coarse)").matches; // on a touch screen, Enter begins a new line
    if (event.shiftKey || (touch && !event.ctrlKey && !event.metaKey)) return;
    event.preventDefault();
    this.#submit();
  }

  #toggleEmoji() {
    this.emoji.hidden = !this.emoji.hidden;
    this.face.setAttribute("aria-expanded", String(!this.emoji.hidden));
    if (!this.emoji.hidden) this.emoji.querySelector("[tabindex='0']").focus();
  }

  #insert(sign) {
    const { selectionStart, selectionEnd } = this.field;
    this.field.setRangeText(sign, selectionStart, selectionEnd, "end");
    this.#changed();
  }

  // Attach files that come from elsewhere.
  attachFiles(files) {
    return this.#take(files);
  }

  // Put a quote before what is written.
  quote(quoted) {
    this.#replace(quoted + this.field.value);
  }

  #replace(text) {
    this.field.value = text;
    this.field.setSelectionRange(text.length, text.length);
    this.#changed();
    this.focus();
  }

  #numbered({ blob, name }) {
    return { blob, name, id: (this.#nextFile += 1) };
  }

  // The user has changed something.
  #changed() {
    drafts.set(this.key, this.#written);
    this.#paint();
  }

  #paint() {
    this.field.style.height = "auto";
    this.field.style.height = `${Math.min(this.field.scrollHeight, 160)}px`;
    this.button.disabled = this.later.disabled = this.isEmpty;
    this.face.setAttribute("aria-expanded", String(!this.emoji.hidden));
    this.#showCost();
    this.strip.hidden = !this.#files.length;
    reconcile(this.strip, this.#files, (file) => file.id, (file) => this.#attached(file));
  }

  #showCost() {
    const text = this.field.value.trim();
    const { count: segments } = count(text);
    const sms = segments > 1 ? many(segments, "Sends as {count} text", "Sends as {count} texts") : "";
    this.cost.textContent = this.#files.length ? "MMS" : sms;
  }

  #attached(file) {
    const seen = file.blob.type.startsWith("image/")
      ? el("img", { src: URL.createObjectURL(file.blob), alt: "" })
      : el("span", { class: "strip-file" }, icon("file"), el("bdi", { text: file.name }));
    const remove = iconButton("close", t("Remove {name}", { name: file.name }), () => {
      this.#files = this.#files.filter((one) => one !== file);
      this.#changed();
      this.focus();
    });
    return el("li", {}, seen, remove);
  }

  #complain(words) {
    this.problem.textContent = words;
    this.problem.hidden = !words;
  }
}
