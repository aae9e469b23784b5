// A swipe over a row, by a finger: to each side one action. The row follows the finger, and the action shows beneath it.
// The browser keeps scrolling up and down (`touch-action` of a row); then it takes the finger away: `pointercancel`.

import { el, icon } from "./dom.js";

const BEGIN = 10; // pixels; from here on the long touch is over (menu_gestures.js)
const FAR_ENOUGH = 96; // pixels
const CORNER = 16; // pixels; the row has round ones
const EDGE = 24; // pixels; from there the system goes back

// `actionsOf(node)` returns the actions {label, icon, do} of an element that matches `selector`, in `parent`: when it is
// swiped to the start of the line, and to its end; or null.
export function onSwipe(parent, selector, actionsOf) {
  let swipe = null;
  parent.addEventListener("pointerdown", ({ pointerType, pointerId, isPrimary, clientX, clientY, target }) => {
    swipe?.end(false); // of the first finger
    const node = target.closest(selector);
    const isAtEdge = Math.min(clientX, innerWidth - clientX) < EDGE;
    const isOne = pointerType === "touch" && isPrimary && !isAtEdge && node;
    swipe = isOne ? new Swipe(node, { x: clientX, y: clientY, id: pointerId }) : null;
  });
  parent.addEventListener("pointermove", (event) => {
    if (swipe?.from.id !== event.pointerId) return;
    const [x, y] = [event.clientX - swipe.from.x, event.clientY - swipe.from.y];
    if (!swipe.actions) {
      if (Math.hypot(x, y) <= BEGIN) return;
      const isAcross = Math.abs(x) > Math.abs(y) && !document.querySelector("dialog[open]");
      swipe.actions = isAcross ? actionsOf(swipe.node) : null;
      if (!swipe.actions) return (swipe = null);
      parent.setPointerCapture(event.pointerId); // the row may be moved in the list meanwhile
    }
    swipe.move(x);
  });
  for (const type of ["pointerup", "pointercancel"]) {
    parent.addEventListener(type, (event) => {
      if (swipe?.from.id !== event.pointerId) return;
      swipe.end(type === "pointerup");
      swipe = null;
    });
  }
}

class Swipe {
  actions = null; // until it has begun
  #action = null; // the one that shows
  #x = 0;

  constructor(node, from) {
    Object.assign(this, { node, from });
    this.beneath = el("span", { class: "row-beneath", "aria-hidden": "true" });
  }

  move(x) {
    const isRightToLeft = getComputedStyle(this.node).direction === "rtl";
    const isToEnd = x > 0 !== isRightToLeft;
    this.#x = x;
    this.#show(this.actions[Number(isToEnd)], isToEnd);
    this.beneath.classList.toggle("reached", this.#isFar());
    this.beneath.style.width = `${Math.abs(x) + CORNER}px`;
    this.node.classList.add("swiped");
    this.node.classList.remove("back");
    this.node.firstElementChild.style.transform = `translateX(${x}px)`;
  }

  // The finger is lifted; `isMeant`: and not taken away by the browser.
  async end(isMeant) {
    if (!this.actions) return;
    if (isMeant && this.#isFar()) this.#action.do();
    const [link] = this.node.children;
    this.node.classList.add("back");
    link.style.transform = "";
    await Promise.allSettled(link.getAnimations().map((one) => one.finished));
    this.beneath.remove();
    if (!this.node.querySelector(".row-beneath")) this.node.classList.remove("swiped", "back"); // no other swipe has begun
  }

  #isFar() {
    return Math.abs(this.#x) >= FAR_ENOUGH;
  }

  #show(action, isToEnd) {
    if (this.#action === action) return;
    this.#action = action;
    this.beneath.classList.toggle("to-start", !isToEnd);
    this.beneath.replaceChildren(icon(action.icon), el("span", { text: action.label }));
    this.node.append(this.beneath);
  }
}
