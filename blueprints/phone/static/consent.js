// Consent of a conversation: who has opted out, who seems to want to, and whether it is blocked.

import { call, failureReason } from "./api.js";
import { el, fill, say } from "./dom.js";
import { choice, confirm, openSheet } from "./sheet.js";
import { state } from "./state.js";
import { nameOf, peersOf, spoken } from "./format.js";
import { whyClosed } from "./reasons.js";
import { t } from "./words.js";

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
  const { id, opt_out_suggested: who, blocked } = known;
  const closed = whyClosed(known, nameOf);
  return [
    closed && el("p", { class: "consent-words", dir: "auto", text: closed }),
    blocked && el("p", { class: "consent-words", text: t("Blocked: nobody is notified of their texts.") }),
    blocked && button(t("Unblock"), () => change("DELETE", id, "block")),
    who && !closed && el("p", { class: "consent-words", text: t("{name} may want no more texts.", { name: nameOf(who) }) }),
    who && !closed && button(t("Opt out"), () => change("POST", id, "opt-out", { peer: who })),
    who && !closed && button(t("Not an opt-out"), () => change("DELETE", id, "opt-out-suggestion")),
  ].filter(Boolean);
}

function button(label, act) {
  return el("button", { type: "button", class: "small-button", text: label, on: { click: act } });
}

// The buttons that opt a person out and block a sender, for the sheet of a conversation. In a group
// they ask which member it is.
export function consentActions(id, done) {
  const known = id && state.conversations.get(id);
  if (!known) return null;
  const peers = peersOf(known);
  const out = (known.opt_outs ?? []).map((one) => one.peer);
  const blocked = known.blocked_peers ?? [];
  const staying = peers.filter((peer) => !out.includes(peer));
  const open = peers.filter((peer) => !blocked.includes(peer));
  const act = async (question, among, confirmed) => {
    done();
    const peer = peers.length > 1 ? await chooseMember(question, among) : among[0];
    if (peer) await confirmed(peer);
  };
  const optOut = async (peer) => {
    const detail = t("Nobody can text {name} from this number until they text START, or your administrator takes it back.", { name: nameOf(peer) });
    if (await confirm(t("No more texts to them?"), detail, t("Opt out"))) await change("POST", id, "opt-out", { peer });
  };
  const block = async (peer) => {
    const name = nameOf(peer);
    const detail =
      peers.length > 1
        ? t("Nobody is notified of texts from {name} any more.", { name })
        : t("Nobody is notified of texts from {name} any more, and no list shows them.", { name });
    if (await confirm(t("Block this sender?"), detail, t("Block"))) await change("PUT", id, "block", { peer });
  };
  const unblock = (peer) => change("DELETE", id, `block?peer=${encodeURIComponent(peer)}`);
  return el(
    "div",
    { class: "buttons" },
    staying.length > 0 && button(t("Opt out …"), () => act(t("Who wants no more texts?"), staying, optOut)),
    open.length > 0 && button(t("Block …"), () => act(t("Who is to be blocked?"), open, block)),
    blocked.length > 0 && button(peers.length > 1 ? t("Unblock …") : t("Unblock"), () => act(t("Whose block is to end?"), blocked, unblock)),
  );
}

// Ask which member of a group it is; resolves to the number, or to null.
function chooseMember(question, peers) {
  return new Promise((resolve) => {
    const choose = (peer) => {
      resolve(peer);
      sheet.close();
    };
    const choices = peers.map((peer) =>
      choice(el("bdi", { text: nameOf(peer) }), state.contacts.has(peer) ? spoken(peer) : "", () => choose(peer)),
    );
    const sheet = openSheet(question, el("div", { class: "choices" }, choices));
    sheet.addEventListener("close", () => resolve(null));
  });
}

async function change(method, id, what, body) {
  try {
    await state.changeConsent(id, await call(method, `conversations/${id}/${what}`, { body }));
  } catch (error) {
    say(failureReason(error));
  }
}
