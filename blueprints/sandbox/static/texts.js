// The messages on a screen. Their content is inserted as text, never as markup.

const PENDING = { pending: "A picture is on its way …", failed: "The picture could not be fetched." };
const TIME = new Intl.DateTimeFormat([], { hour: "2-digit", minute: "2-digit" });

export class Screen {
  constructor(device) {
    this.log = device.querySelector(".texts");
    this.empty = device.querySelector(".empty");
    this.log.addEventListener("load", () => this.#toEnd(), true); // a picture has got its size
    this.clear();
  }

  clear() {
    this.log.replaceChildren();
    this.bubbles = new Map();
    this.empty.hidden = false;
  }

  // {id, mine, who, text, media: [{url, content_type, state}], at: Date, note, tone}
  show(text) {
    const known = this.bubbles.get(text.id);
    const bubble = known ?? element("div", "text");
    bubble.dataset.id = text.id;
    bubble.classList.toggle("mine", text.mine);
    fill(bubble, text);
    if (!known) this.#place(bubble);
    if (!known) this.#toEnd();
  }

  // A remark between the messages; `calm` where nothing is lost.
  say(words, calm = false) {
    this.log.append(element("p", calm ? "aside calm" : "aside", words));
    this.#toEnd();
  }

  #toEnd() {
    this.log.scrollTop = this.log.scrollHeight;
  }

  // Ids sort by time: a late one still finds its place.
  #place(bubble) {
    this.empty.hidden = true;
    this.bubbles.set(bubble.dataset.id, bubble);
    const later = [...this.bubbles.values()].filter((other) => other.dataset.id > bubble.dataset.id);
    later.sort((one, other) => (one.dataset.id < other.dataset.id ? -1 : 1));
    this.log.insertBefore(bubble, later[0] ?? null);
  }
}

function fill(bubble, text) {
  const body = element("div", "body");
  for (const file of text.media) body.append(attachment(file));
  if (text.text) body.append(element("p", "words", text.text));
  const foot = element("p", "foot", TIME.format(text.at));
  if (text.note) foot.append(" · ", element("span", `note ${text.tone ?? ""}`, text.note));
  const parts = [element("span", "hidden", `${text.who}: `), body, foot];
  const state = JSON.stringify([text.text, text.note, text.media]);
  if (bubble.dataset.state === state) return;
  bubble.dataset.state = state;
  bubble.replaceChildren(...parts);
}

function attachment(file) {
  if (!file.url) return element("p", "pending", PENDING[file.state] ?? PENDING.pending);
  const { pathname, search } = new URL(file.url, location.href); // this server, by any host name
  if (file.content_type.startsWith("image/")) {
    const image = element("img");
    image.src = pathname + search;
    image.alt = "Picture";
    return image;
  }
  const link = element("a", "file", file.name ?? "Attachment");
  link.href = pathname + search;
  return link;
}

function element(name, className = "", text = "") {
  const made = document.createElement(name);
  made.className = className;
  made.textContent = text;
  return made;
}
