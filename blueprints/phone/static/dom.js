// Creating DOM elements. Text from outside is inserted as text, never as markup.

// el("a", {class, href, text, on: {click}}, child, …); null, undefined and false are left out.
export function el(tag, { text, on, ...attributes } = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    node.setAttribute(name, value === true ? "" : value);
  }
  for (const [event, listener] of Object.entries(on ?? {})) node.addEventListener(event, listener);
  if (text !== undefined && text !== null) node.textContent = text;
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

const SVG = "http://www.w3.org/2000/svg";

// An icon of the sprite in the page; screen readers skip it.
export function icon(name) {
  const drawing = document.createElementNS(SVG, "svg");
  const use = document.createElementNS(SVG, "use");
  drawing.setAttribute("class", "icon");
  drawing.setAttribute("aria-hidden", "true");
  use.setAttribute("href", `#icon-${name}`);
  drawing.append(use);
  return drawing;
}

export function iconButton(name, label, click, more = {}) {
  return el("button", { type: "button", class: "icon-button", "aria-label": label, title: label, on: { click }, ...more }, icon(name));
}

// Make the children of a parent match `items`, in order. Nodes with the same key are kept, with
// their focus and selection. `paint(node, item)` is called for each.
export function reconcile(parent, items, keyOf, make, paint) {
  const before = new Map([...parent.children].map((node) => [node.dataset.key, node]));
  let place = parent.firstElementChild;
  for (const item of items) {
    const key = String(keyOf(item));
    let node = before.get(key);
    before.delete(key);
    if (!node) {
      node = make(item);
      node.dataset.key = key;
    }
    paint?.(node, item);
    if (node === place) place = place.nextElementSibling;
    else parent.insertBefore(node, place);
  }
  for (const node of before.values()) node.remove();
}

export function fill(node, ...children) {
  node.replaceChildren(...children.flat().filter(Boolean));
}

let speaker;

// Announce a text to screen readers.
export function say(words) {
  speaker ??= document.getElementById("spoken");
  speaker.textContent = "";
  setTimeout(() => (speaker.textContent = words), 50); // the same text twice is announced twice
}
