// The ways to the menus of the messages: a button beside each, a long touch, the right mouse button. One of
// the buttons is reached by Tab, the others from there by the arrow keys.

import { onHold } from "./menu_gestures.js";

export class MessageMenus {
  // `open(key)` is called with the key of a message's row.
  constructor(log, open) {
    this.log = log;
    onHold(log, ".message", (node) => open(node.dataset.key));
    log.addEventListener("click", ({ target }) => target.closest(".message-more") && open(target.closest(".message").dataset.key));
    log.addEventListener("keydown", (event) => this.#move(event));
  }

  // The messages have changed: the newest is the one that Tab reaches.
  paint() {
    this.#reachBy(this.#buttons().at(-1));
  }

  #buttons() {
    return [...this.log.querySelectorAll(".message-more:not([hidden])")];
  }

  #reachBy(button) {
    for (const one of this.#buttons()) one.tabIndex = one === button ? 0 : -1;
  }

  #move(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const buttons = this.#buttons();
    const next = step && event.target.matches(".message-more") && buttons[buttons.indexOf(event.target) + step];
    if (!next) return;
    event.preventDefault();
    this.#reachBy(next);
    next.focus();
  }
}
