// The menu of one conversation, for a row of the list and for the open one.

import { consentActions } from "./consent.js";
import { deleteConversation, mayDelete } from "./deleting.js";
import { openMenu } from "./menu.js";
import { editContact } from "./people.js";
import { state } from "./state.js";
import { peersOf, titleOf } from "./format.js";
import { t } from "./words.js";

export function openConversationMenu(id) {
  const known = state.conversations.get(id);
  if (!known) return;
  const { unread_count: unread, pinned, muted, done } = known;
  const peers = peersOf(known);
  const sheet = openMenu(
    titleOf(peers),
    [
      unread ? { label: t("Mark as read"), icon: "check", do: () => state.read(id) } : { label: t("Mark as unread"), icon: "talk", do: () => markUnread(id) },
      { label: pinned ? t("Unpin") : t("Pin"), icon: "pin", do: () => state.mark(id, "pin", !pinned) },
      { label: muted ? t("Unmute") : t("Mute"), icon: "mute", do: () => state.mark(id, "mute", !muted) },
      { label: done ? t("Open again") : t("Done"), icon: "check", do: () => state.assign(id, { done: !done }) },
      { label: t("Name, hand over …"), icon: "person", opens: true, do: () => editContact(peers, known) },
      mayDelete() && { label: t("Delete …"), icon: "trash", do: () => deleteConversation(id) },
    ],
    consentActions(id, () => sheet.close()),
  );
}

// An open conversation would be read at once.
async function markUnread(id) {
  await state.markUnread(id);
  if (location.hash.startsWith(`#/c/${id}`)) location.hash = "#/";
}
