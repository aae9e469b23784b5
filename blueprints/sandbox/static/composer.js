// The composer: Enter sends, Shift+Enter begins a new line.

export class Composer {
  // `send(text, file)` may throw; then the text stays in the field.
  constructor(device, send) {
    this.form = device.querySelector("form");
    this.field = this.form.querySelector("textarea");
    this.problem = this.form.querySelector(".problem");
    this.send = send;
    this.turn = Promise.resolve();
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.submit();
    });
    this.field.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.submit();
    });
    this.field.addEventListener("input", () => this.#grow());
  }

  suggest(text) {
    if (!this.field.value) this.field.value = text;
    this.#grow();
  }

  enable(on) {
    for (const control of this.form.elements) control.disabled = !on;
  }

  // Clear the field at once; a text written meanwhile is sent after this one.
  submit(file = null) {
    const text = this.field.value.trim();
    if (!text && !file) return;
    this.#write("");
    this.problem.hidden = true;
    this.field.focus();
    this.turn = this.turn.then(() => this.#hand(text, file));
  }

  async #hand(text, file) {
    try {
      await this.send(text, file);
    } catch (error) {
      this.#write([text, this.field.value].filter(Boolean).join("\n"));
      this.complain(error.message);
    }
  }

  complain(words) {
    this.problem.textContent = words;
    this.problem.hidden = false;
  }

  #write(text) {
    this.field.value = text;
    this.#grow();
  }

  #grow() {
    this.field.rows = Math.min(5, this.field.value.split("\n").length);
  }
}
