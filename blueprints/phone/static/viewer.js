// A picture over the whole screen: zoom, the next and the one before, save, share. Back closes it.

import { Refused, Unreachable } from "./api.js";
import { loadPicturesBefore, picturesOf } from "./conversation_pictures.js";
import { el, icon, iconButton, say } from "./dom.js";
import { show } from "./sheet.js";
import { state } from "./state.js";
import { t } from "./words.js";
import { Zoom } from "./zoom.js";

// `picture` is one as `picturesOf` makes them; `shown` is the row of its message, null for one that was not sent yet.
export function openViewer(picture, shown) {
  return new Viewer(picture, shown);
}

class Viewer {
  #isOver = false;
  #isLeaving = false;

  constructor(picture, shown) {
    Object.assign(this, { picture, shown });
    this.image = el("img", { draggable: "false" });
    this.problem = el("p", { class: "viewer-problem", role: "alert", hidden: true });
    this.stage = el("div", { class: "viewer-stage" }, this.image, this.problem);
    this.caption = el("p", { id: "viewer-caption", class: "viewer-caption", dir: "auto" });
    this.save = el("a", { class: "icon-button", "aria-label": t("Save the picture"), title: t("Save the picture") }, icon("download"));
    this.share = iconButton("share", t("Share the picture"), () => this.#share());
    this.previous = iconButton("back", t("The picture before"), () => this.#turn(-1), { class: "icon-button viewer-previous" });
    this.next = iconButton("back", t("The next picture"), () => this.#turn(1), { class: "icon-button viewer-next" });
    const close = iconButton("close", t("Close"), () => this.#leave(), { autofocus: true });
    this.dialog = el(
      "dialog",
      { class: "viewer", "aria-labelledby": "viewer-caption" },
      this.stage,
      el("header", { class: "viewer-bar" }, this.caption, this.share, this.save, close),
      this.previous,
      this.next,
    );
    this.zoom = new Zoom(this.stage, this.image, (step) => this.#turn(step));
    this.share.hidden = !navigator.canShare;
    this.dialog.addEventListener("keydown", (event) => this.#key(event));
    this.dialog.addEventListener("cancel", (event) => {
      event.preventDefault();
      this.#leave();
    });
    this.dialog.addEventListener("close", () => this.#closed());
    show(this.dialog);
    history.pushState({ viewer: true }, "");
    addEventListener("popstate", this.#left);
    this.#paint();
  }

  // The way out is Back, which takes a moment. The viewer stays open until then: what is pressed behind it meanwhile
  // would be undone by Back.
  #leave() {
    if (!this.#isLeaving) history.back();
    this.#isLeaving = true;
  }

  // Back was pressed, or another place was opened.
  #left = () => {
    this.#isOver = true;
    this.dialog.close();
  };

  #closed() {
    removeEventListener("popstate", this.#left);
    this.image.src = "";
    if (!this.#isOver && !this.#isLeaving) history.back();
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!this.zoom.key(event.key)) {
      if (!step) return;
      this.#turn(step);
    }
    event.preventDefault();
  }

  #all() {
    return this.shown ? picturesOf(this.shown) : [this.picture];
  }

  #at(all) {
    return all.findIndex((one) => one.id === this.picture.id);
  }

  async #turn(step) {
    if (this.turning) return;
    this.turning = true;
    try {
      const all = step < 0 && this.shown ? await loadPicturesBefore(this.shown, this.picture.id) : this.#all();
      const next = all[this.#at(all) + step];
      if (next) {
        this.picture = next;
        this.#paint();
        say(this.caption.textContent);
      }
    } catch (error) {
      if (!(error instanceof Unreachable || error instanceof Refused)) throw error;
    }
    this.turning = false;
  }

  #paint() {
    const { picture } = this;
    const all = this.#all();
    const at = this.#at(all);
    const mayHaveOlder = Boolean(this.shown) && state.hasMore(this.shown.conversation_id);
    this.caption.textContent = picture.described;
    Object.assign(this.image, { alt: picture.described, src: picture.small });
    this.save.href = picture.whole;
    this.save.download = picture.name;
    this.problem.hidden = true;
    // A button that is disabled would lose the focus.
    this.previous.setAttribute("aria-disabled", String(at <= 0 && !mayHaveOlder));
    this.next.setAttribute("aria-disabled", String(at + 1 >= all.length));
    this.previous.hidden = this.next.hidden = all.length < 2 && !mayHaveOlder;
    this.zoom.reset();
    if (picture.whole !== picture.small) this.#load(picture);
  }

  // The small picture is shown until the whole one is here.
  async #load(picture, address = picture.whole) {
    const whole = new Image();
    whole.src = address;
    this.dialog.setAttribute("aria-busy", "true");
    try {
      await whole.decode();
      if (this.picture === picture) this.image.src = address;
    } catch {
      if (this.picture === picture) await this.#loadAgain(picture, address);
    }
    if (this.picture === picture) this.dialog.removeAttribute("aria-busy");
  }

  // A link expires after a day: the message, loaded again, has a new one.
  async #loadAgain(picture, address) {
    await state.reload(picture.messageId).catch(() => {});
    const renewed = this.#all().find((one) => one.id === picture.id)?.whole;
    if (renewed && renewed !== address) {
      this.save.href = renewed;
      await this.#load(picture, renewed);
    } else {
      this.problem.textContent = t("The picture cannot be loaded now. It is shown small.");
      this.problem.hidden = false;
    }
  }

  async #share() {
    try {
      const blob = await (await fetch(this.save.href)).blob();
      const files = [new File([blob], this.picture.name, { type: blob.type })];
      if (!navigator.canShare({ files })) throw new TypeError("files");
      await navigator.share({ files });
    } catch (error) {
      if (error.name === "AbortError") return; // the user has changed their mind
      this.problem.textContent = t("The picture cannot be shared here. Save it instead.");
      this.problem.hidden = false;
    }
  }
}
