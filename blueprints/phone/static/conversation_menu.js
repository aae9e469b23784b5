// The menu of one conversation, for a row of the list and for the open one, and what a swipe over the row does.

import { failureReason } from "./api.js";
import { consentActions } from "./consent.js";
import { deleteConversation, mayDelete } from "./deleting.js";
import { el } from "./dom.js";
import { openMenu } from "./menu.js";
import { editContact } from "./people.js";
import { openSheet } from "./sheet.js";
import { state } from "./state.js";
import { peersOf, titleOf } from "./format.js";
import { t } from "./words.js";

export function openConversationMenu(id) {
  const known = state.conversations.get(id);
  if (!known) return;
  const { pinned, muted } = known;
  const peers = peersOf(known);
  const sheet = openMenu(
    titleOf(peers),
    [
      readAction(known),
      { label: pinned ? t("Unpin") : t("Pin"), icon: "pin", do: () => state.mark(id, "pin", !pinned) },
      { label: muted ? t("Unmute") : t("Mute"), icon: "mute", do: () => state.mark(id, "mute", !muted) },
      doneAction(known),
      { label: t("Name, hand over …"), icon: "person", opens: true, do: () => editContact(peers, known) },
      mayDelete() && { label: t("Delete …"), icon: "trash", do: () => deleteConversation(id) },
    ],
    consentActions(id, () => sheet.close()),
  );
}

// What a swipe over the row of a conversation does: to the start of the line, and to its end. Null for a mere draft.
export function swipeActions(id) {
  const known = state.conversations.get(id);
  return known ? [doneAction(known), readAction(known)].map((action) => ({ ...action, do: () => run(action, known) })) : null;
}

async function run(action, known) {
  try {
    await action.do();
  } catch (error) {
    openSheet(titleOf(peersOf(known)), el("p", { class: "problem", role: "alert", text: failureReason(error) }));
  }
}

function readAction({ id, unread_count: unread }) {
  if (unread) return { label: t("Mark as read"), icon: "check", do: () => state.read(id) };
  return { label: t("Mark as unread"), icon: "talk", do: () => markUnread(id) };
}

function doneAction({ id, done }) {
  return { label: done ? t("Open again") : t("Done"), icon: "check", do: () => state.assign(id, { done: !done }) };
}

// An open conversation would be read at once.
async function markUnread(id) {
  await state.markUnread(id);
  if (location.hash.startsWith(`#/c/${id}`)) location.hash = "#/";
}
