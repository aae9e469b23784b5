// The sandbox page: a session, an outside phone, an extension, and their progress.

import { call } from "./calls.js";
import { Commands } from "./commands.js";
import { Inside } from "./inside.js";
import { Progress } from "./progress.js";
import { Outside } from "./outside.js";

const KEPT = "textbridge.sandbox";
const FIRST = "Hello! Are you open on Saturday?";
const ANSWER = "Yes, from nine to one. See you then!";

const trouble = document.getElementById("trouble");
const spoken = document.getElementById("spoken");
const field = document.getElementById("phone");
const problem = document.getElementById("phone-problem");

function kept() {
  try {
    return JSON.parse(localStorage.getItem(KEPT)) ?? {};
  } catch {
    return {};
  }
}

function keep(more) {
  try {
    localStorage.setItem(KEPT, JSON.stringify({ ...kept(), ...more }));
  } catch {
    // private windows keep nothing; the next visit begins anew
  }
}

function silent(yes, error) {
  if (error?.status === 401) location.reload(); // the server has begun anew: so does this page
  trouble.hidden = !yes;
  if (yes) trouble.textContent = `${error.status ? error.message : "The server does not answer."} Trying again …`;
}

async function start() {
  const session = await call("POST", "/sandbox/session", { body: { token: kept().token ?? "" } });
  keep({ token: session.token });
  for (const place of document.querySelectorAll("[data-extension]")) place.textContent = session.extension;
  document.getElementById("inside-title").textContent = session.author;
  const speak = (words) => (spoken.textContent = words);
  const incoming = new Progress("in", speak);
  const outgoing = new Progress("out", speak);
  const outside = new Outside(session, incoming, outgoing);
  const inside = new Inside(session, incoming, outgoing);
  const commands = new Commands(session);
  outside.wrote = ({ text }) => text && commands.show({ incoming: text });
  inside.wrote = ({ text }) => text && commands.show({ reply: text });
  commands.show({ phone: field.value, incoming: FIRST, reply: ANSWER });

  async function become(number) {
    const phone = await outside.become(number);
    field.value = phone;
    keep({ phone });
    commands.show({ phone });
    await inside.open(phone);
    outside.follow(silent);
    inside.follow(outside.following.signal, silent);
    document.documentElement.dataset.phone = phone; // both screens show this phone's texts
  }

  let turn = become(kept().phone ?? field.value).catch(() => become(field.defaultValue));
  field.addEventListener("change", () => {
    problem.hidden = true;
    turn = turn.then(() => become(field.value)).catch((error) => {
      problem.textContent = error.message;
      problem.hidden = false;
    });
  });

  await turn;
  if (!outside.screen.bubbles.size) {
    outside.composer.suggest(FIRST);
    inside.composer.suggest(ANSWER);
  }
}

start().catch((error) => {
  trouble.textContent = error.message;
  trouble.hidden = false;
});
