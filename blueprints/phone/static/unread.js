// How many texts wait to be read.

import { state } from "./state.js";

// Unread texts of the conversations of the list for which `matches(conversation)` is true; muted ones do not count.
export function unreadOf(matches) {
  const found = state.sorted().filter((one) => !one.muted && matches(one));
  return found.reduce((sum, one) => sum + one.unread_count, 0);
}

export const atMost99 = (count) => (count > 99 ? "99+" : String(count));
