// Deleting a message or a conversation, where the administrator allows it: asked for before.

import { drafts, draftKey } from "./drafts.js";
import { el, say } from "./dom.js";
import { confirm, openSheet } from "./sheet.js";
import { state } from "./state.js";
import { peersOf, titleOf } from "./format.js";
import { many, t } from "./words.js";

export const mayDelete = () => state.me?.may_delete ?? false;

export async function deleteMessage(message) {
  const wanted = await confirm(
    t("Delete this message?"),
    t("It is deleted from Textbridge with its files, on all your devices and for everybody who shares your number. It stays on the other person's phone. This cannot be undone."),
    t("Delete"),
  );
  if (!wanted) return;
  await state.deleteMessage(message);
  say(t("Deleted."));
}

export async function deleteConversation(id) {
  const known = state.conversations.get(id);
  const peers = peersOf(known);
  const wanted = await confirm(
    t("Delete the conversation with {name}?", { name: titleOf(peers) }),
    t("All its messages and files are deleted from Textbridge, on all your devices and for everybody who shares your number; scheduled texts are cancelled. Names, blocked numbers and opt-outs stay, and so does what is on the other person's phone. This cannot be undone."),
    t("Delete"),
  );
  if (!wanted) return;
  const kept = await state.deleteConversation(id);
  if (kept) {
    const why = many(
      kept,
      "{count} message is still there: it is being sent or handed over. Delete the conversation again later.",
      "{count} messages are still there: they are being sent or handed over. Delete the conversation again later.",
    );
    openSheet(t("Not everything is deleted yet"), el("p", { text: why }));
    return;
  }
  const key = draftKey(known.number, peers);
  drafts.hold(key, { text: "", files: [] });
  await drafts.store(key);
  say(t("Deleted."));
}
