// The gestures that open a menu: a long touch, the right mouse button, the menu key of a keyboard.

const HELD = 500; // milliseconds
const NEAR = 10; // pixels that a finger may move meanwhile

// `open(node)` is called with the element that matches `selector`, in `parent`, for each such gesture.
export function onHold(parent, selector, open) {
  let timer = null;
  let from = null;
  const stop = () => clearTimeout(timer);
  const show = (target) => {
    const found = target.closest(selector);
    if (found && !document.querySelector("dialog[open]")) open(found);
  };
  parent.addEventListener("contextmenu", (event) => {
    if (isForBrowser(event.target)) return;
    event.preventDefault();
    stop();
    show(event.target);
  });
  parent.addEventListener("pointerdown", ({ pointerType, clientX, clientY, target }) => {
    stop();
    if (pointerType !== "touch" || isForBrowser(target)) return;
    from = { x: clientX, y: clientY };
    timer = setTimeout(() => {
      show(target);
      swallowClick();
    }, HELD);
  });
  parent.addEventListener("pointermove", ({ clientX, clientY }) => from && Math.hypot(clientX - from.x, clientY - from.y) > NEAR && stop());
  for (const type of ["pointerup", "pointercancel", "pointerleave"]) parent.addEventListener(type, stop);
}

// The finger that has opened a menu is lifted: that is no click, neither below the menu nor on it.
function swallowClick() {
  const swallow = (event) => {
    event.preventDefault();
    event.stopImmediatePropagation();
  };
  addEventListener("click", swallow, { capture: true, once: true });
  addEventListener("pointerdown", () => removeEventListener("click", swallow, true), { capture: true, once: true });
}

// Links in texts and what is selected have the browser's own menu.
function isForBrowser(target) {
  return Boolean(target.closest(".words a")) || !getSelection().isCollapsed;
}
