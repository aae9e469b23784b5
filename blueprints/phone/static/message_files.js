// The files of a message, fetched to be sent again or forwarded.

import { ask } from "./api.js";

// [{blob, name}]. Throws `Refused` or `Unreachable`.
export async function filesOf(message) {
  const files = [];
  for (const file of message.media) {
    const answer = await ask("GET", `media/${file.id}`);
    files.push({ blob: new Blob([await answer.blob()], { type: file.content_type }), name: file.name || "file" });
  }
  return files;
}
