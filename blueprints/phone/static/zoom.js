// Zoom of a picture: by two fingers, the wheel, a double tap, or keys; a zoomed one can be moved.

const MOST = 8;
const STEP = 1.5;
const DOUBLE_TAP = 2.5; // how large a double tap makes it
const TAP_TIME = 300; // milliseconds between two taps
const TAP_DISTANCE = 24; // pixels
const SWIPE = 60; // CSS pixels

export class Zoom {
  #scale = 1;
  #x = 0; // of the middle of the picture, from the middle of the stage
  #y = 0;
  #fingers = new Map(); // pointer id -> {x, y}
  #start = null; // of the first finger
  #lastTap = null;

  // `stage` holds `picture`; `turned(step)` is called when it is swiped to the next one (1) or the one before (-1).
  constructor(stage, picture, turned) {
    Object.assign(this, { stage, picture, turned });
    stage.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    stage.addEventListener("pointerdown", (event) => this.#down(event));
    stage.addEventListener("pointermove", (event) => this.#move(event));
    for (const type of ["pointerup", "pointercancel"]) stage.addEventListener(type, (event) => this.#up(event));
  }

  get isZoomed() {
    return this.#scale > 1;
  }

  reset() {
    this.#scale = 1;
    this.#x = this.#y = 0;
    this.#paint();
  }

  // Returns whether the key means something here.
  key(key) {
    const [x, y] = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[key] ?? [0, 0];
    if (key === "+" || key === "=") this.#to(this.#scale * STEP);
    else if (key === "-") this.#to(this.#scale / STEP);
    else if (key === "0") this.reset();
    else if (this.isZoomed && (x || y)) this.#shift(x * 80, y * 80);
    else return false;
    return true;
  }

  #wheel(event) {
    event.preventDefault();
    this.#to(this.#scale * Math.exp(-event.deltaY / (event.ctrlKey ? 100 : 400)), this.#place(event));
  }

  #down(event) {
    if (event.button || event.target.closest("button, a")) return;
    event.preventDefault(); // no dragging of the picture itself
    this.stage.setPointerCapture(event.pointerId);
    if (!this.#fingers.size) this.#start = { x: event.clientX, y: event.clientY, moved: false };
    this.#fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    if (this.#fingers.size > 1) this.#start.moved = true;
    this.stage.classList.add("held");
  }

  #move(event) {
    const before = this.#fingers.get(event.pointerId);
    if (!before) return;
    const now = { x: event.clientX, y: event.clientY };
    if (Math.hypot(now.x - this.#start.x, now.y - this.#start.y) > TAP_DISTANCE) this.#start.moved = true;
    const [other] = [...this.#fingers].filter(([id]) => id !== event.pointerId).map(([, place]) => place);
    this.#fingers.set(event.pointerId, now);
    if (other) {
      const factor = Math.hypot(now.x - other.x, now.y - other.y) / (Math.hypot(before.x - other.x, before.y - other.y) || 1);
      this.#to(this.#scale * factor, this.#place({ clientX: (now.x + other.x) / 2, clientY: (now.y + other.y) / 2 }));
    }
    if (this.isZoomed) this.#shift((now.x - before.x) / this.#fingers.size, (now.y - before.y) / this.#fingers.size);
  }

  #up(event) {
    if (!this.#fingers.delete(event.pointerId) || this.#fingers.size) return;
    this.stage.classList.remove("held");
    if (event.type === "pointercancel") return;
    const [x, y] = [event.clientX - this.#start.x, event.clientY - this.#start.y];
    if (!this.#start.moved) this.#tap(event);
    else if (!this.isZoomed && Math.abs(x) > SWIPE && Math.abs(x) > 2 * Math.abs(y)) this.turned(x < 0 ? 1 : -1);
  }

  #tap(event) {
    const { clientX, clientY, timeStamp } = event;
    const last = this.#lastTap;
    const isSecond = last && timeStamp - last.timeStamp < TAP_TIME && Math.hypot(clientX - last.clientX, clientY - last.clientY) < TAP_DISTANCE;
    this.#lastTap = isSecond ? null : { clientX, clientY, timeStamp };
    if (!isSecond) return;
    if (this.isZoomed) this.reset();
    else this.#to(DOUBLE_TAP, this.#place(event));
  }

  // A place on the screen, from the middle of the stage.
  #place({ clientX, clientY }) {
    const { left, top, width, height } = this.stage.getBoundingClientRect();
    return { x: clientX - left - width / 2, y: clientY - top - height / 2 };
  }

  // Zoom so that what is at a place stays there.
  #to(scale, { x, y } = { x: 0, y: 0 }) {
    const before = this.#scale;
    this.#scale = Math.min(MOST, Math.max(1, scale));
    const factor = this.#scale / before;
    this.#x = x + (this.#x - x) * factor;
    this.#y = y + (this.#y - y) * factor;
    this.#paint();
  }

  #shift(x, y) {
    this.#x += x;
    this.#y += y;
    this.#paint();
  }

  #paint() {
    const overflow = (size, all) => Math.max(0, (size * this.#scale - all) / 2);
    const within = (value, most) => Math.min(most, Math.max(-most, value));
    this.#x = within(this.#x, overflow(this.picture.clientWidth, this.stage.clientWidth));
    this.#y = within(this.#y, overflow(this.picture.clientHeight, this.stage.clientHeight));
    this.picture.style.transform = this.isZoomed ? `translate(${this.#x}px, ${this.#y}px) scale(${this.#scale})` : "";
    this.stage.classList.toggle("zoomed", this.isZoomed);
  }
}
