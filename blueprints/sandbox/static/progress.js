// Progress of a text through the service, step by step, with the time since it was sent.

export class Progress {
  constructor(name, speak) {
    this.steps = new Map();
    for (const step of document.querySelectorAll(`[data-progress="${name}"] li`)) this.steps.set(step.dataset.step, step);
    this.total = document.querySelector(`[data-total="${name}"]`);
    this.speak = speak;
    this.begun = null;
  }

  begin() {
    this.begun = performance.now();
    this.total.textContent = "";
    for (const step of this.steps.values()) {
      delete step.dataset.state;
      step.querySelector("time").textContent = "";
    }
  }

  // The steps before this one are done as well, even if their events arrive later.
  reach(name, state = "done") {
    if (this.begun === null) return;
    const passed = spoken(performance.now() - this.begun);
    for (const [earlier, step] of this.steps) {
      if (earlier === name) return this.#mark(step, passed, state);
      this.#mark(step, passed, "done");
    }
  }

  #mark(step, passed, state) {
    if (step.dataset.state) return;
    step.dataset.state = state;
    step.querySelector("time").textContent = passed;
    if (step !== [...this.steps.values()].at(-1)) return;
    this.total.textContent = state === "done" ? passed : "not delivered";
    this.speak(`${step.querySelector("b").textContent}: ${this.total.textContent}`);
  }

  stop(name) {
    this.reach(name, "bad");
    this.begun = null;
  }
}

function spoken(milliseconds) {
  return milliseconds < 1000 ? `${Math.round(milliseconds)} ms` : `${(milliseconds / 1000).toFixed(1)} s`;
}
