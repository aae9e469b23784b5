// The pictures of a conversation that are here, in their order.

import { filePath } from "./api.js";
import { state } from "./state.js";
import { dayAndMonth, nameOf } from "./format.js";
import { t } from "./words.js";

const MOST_SHOWN_PIXELS = 25_000_000; // of a picture without a thumbnail, as in docs/api.md

// A picture without a thumbnail and with too many pixels, or an unknown size, is a file as any other.
export const isPicture = (file) => /^image\/(jpeg|png|gif|webp|avif|bmp)$/.test(file.content_type) && (Boolean(file.blob || file.thumbnail_url) || isSmallEnough(file));

const isSmallEnough = ({ width, height }) => width > 0 && height > 0 && width * height <= MOST_SHOWN_PIXELS;

// The address of a picture as it is shown in its message.
export const smallAddress = (file) => filePath(file.thumbnail_url ?? file.url);

// “Picture from Anna, 3 May”. `shown` is a row of the conversation.
export function describedPicture({ mine, from, with: all, at }) {
  const date = dayAndMonth(at);
  return mine ? t("Picture to {name}, {date}", { name: all, date }) : t("Picture from {name}, {date}", { name: nameOf(from), date });
}

// [{id, messageId, small, whole, name, described}]; `shown` is the row of one of its messages.
export function picturesOf(shown) {
  return state.messages(shown.conversation_id).flatMap((message) => {
    const row = { mine: message.direction === "out", from: message.from, with: shown.with, at: message.created_at };
    return message.media
      .filter((file) => file.state === "kept" && isPicture(file))
      .map((file) => ({
        id: file.id,
        messageId: message.id,
        small: smallAddress(file),
        whole: filePath(file.url),
        name: file.name || "picture",
        described: describedPicture(row),
      }));
  });
}

// The same, with older messages loaded until there is a picture before this one, or no older message.
export async function loadPicturesBefore(shown, id) {
  let found = picturesOf(shown);
  while (found[0]?.id === id && state.hasMore(shown.conversation_id)) {
    await state.loadOlder(shown.conversation_id);
    found = picturesOf(shown);
  }
  return found;
}
