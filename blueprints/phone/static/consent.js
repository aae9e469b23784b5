// Consent of a conversation: who has opted out, who seems to want to, and whether it is blocked.

import { call, failureReason } from "./api.js";
import { el, fill, say } from "./dom.js";
import { confirm } from "./sheet.js";
import { state } from "./state.js";
import { nameOf } from "./format.js";

// The notice above the composer. `paint(id)` shows what is known of a conversation, and returns
// whether a message can be written there.
export class ConsentNotice {
  constructor() {
    this.node = el("div", { class: "consent", role: "status", hidden: true });
  }

  paint(id) {
    const known = id ? state.conversations.get(id) : null;
    const content = known ? notice(known) : [];
    this.node.hidden = !content.length;
    const shown = JSON.stringify([id, known?.closed_reason, known?.opt_out_suggested, known?.blocked]);
    if (this.shown !== shown) fill(this.node, ...content);
    this.shown = shown;
    return !known?.closed_reason;
  }
}

function notice(known) {
  const { id, closed_reason: closed, opt_out_suggested: who, blocked } = known;
  return [
    closed && el("p", { class: "consent-words", dir: "auto", text: closed }),
    blocked && el("p", { class: "consent-words", text: "Blocked: nobody is notified of their texts." }),
    blocked && button("Unblock", () => change("DELETE", id, "block")),
    who && !closed && el("p", { class: "consent-words", text: `${nameOf(who)} may want no more texts.` }),
    who && !closed && button("Opt out", () => change("POST", id, "opt-out", { peer: who })),
    who && !closed && button("Not an opt-out", () => change("DELETE", id, "opt-out-suggestion")),
  ].filter(Boolean);
}

function button(label, act) {
  return el("button", { type: "button", class: "small-button", text: label, on: { click: act } });
}

// The buttons that opt a person out and block a sender, for the sheet of a conversation.
export function consentActions(id, done) {
  const known = id && state.conversations.get(id);
  if (!known || known.participants.length) return null;
  const ask = async (question, detail, action, ...what) => {
    done();
    if (await confirm(question, detail, action)) await change(...what);
  };
  const optOut = () =>
    ask(
      "No more texts to them?",
      "Nobody can text them from this number until they text START, or your administrator takes it back.",
      "Opt out",
      "POST",
      id,
      "opt-out",
      {},
    );
  const block = () =>
    ask(
      "Block this sender?",
      "Nobody is notified of their texts any more, and no list shows them.",
      "Block",
      "PUT",
      id,
      "block",
      {},
    );
  return el(
    "div",
    { class: "buttons" },
    !known.closed_reason && button("Opt out …", optOut),
    known.blocked ? button("Unblock", () => (done(), change("DELETE", id, "block"))) : button("Block …", block),
  );
}

async function change(method, id, what, body) {
  try {
    await state.changeConsent(id, await call(method, `conversations/${id}/${what}`, { body }));
  } catch (error) {
    say(failureReason(error));
  }
}
