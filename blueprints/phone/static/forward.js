// Forwarding: a text and its files wait until the user has chosen to whom they go.

let waiting = null;

// Ask to whom it goes; `draft` is {text, files}.
export function beginForward(draft) {
  waiting = draft;
  location.hash = "#/new";
}

// What is to be forwarded, or null; it is given out once.
export function takeForward() {
  const draft = waiting;
  waiting = null;
  return draft;
}
