// The menu of one message: copy, reply with a quote, forward, details, delete.

import { deleteMessage, mayDelete } from "./deleting.js";
import { say } from "./dom.js";
import { beginForward } from "./forward.js";
import { openMenu } from "./menu.js";
import { openDetails } from "./message_details.js";
import { filesOf } from "./message_files.js";
import { t } from "./words.js";

const LONGEST_QUOTE = 80; // characters

// `message` is a row of the conversation; `composer` is where a reply is written, null if nothing can be. `left()` is
// called when the message was deleted: what had the focus is gone.
export function openMessageMenu(message, composer, left) {
  const isWhole = message.media.every((file) => file.state === "kept");
  openMenu(t("Message"), [
    message.text && navigator.clipboard && { label: t("Copy"), icon: "copy", do: () => copy(message.text) },
    message.text && composer && { label: t("Reply with quote"), icon: "reply", opens: true, do: () => composer.quote(quoteOf(message.text)) },
    isWhole && { label: t("Forward …"), icon: "forward", do: async () => beginForward({ text: message.text, files: await filesOf(message) }) },
    { label: t("Details"), icon: "info", opens: true, do: () => openDetails(message) },
    mayDelete() && { label: t("Delete …"), icon: "trash", do: () => deleteMessage(message).then(() => setTimeout(left)) },
  ]);
}

async function copy(text) {
  await navigator.clipboard.writeText(text);
  say(t("Copied."));
}

function quoteOf(text) {
  const plain = [...text.replace(/\s+/g, " ").trim()];
  const quoted = plain.length > LONGEST_QUOTE ? `${plain.slice(0, LONGEST_QUOTE - 1).join("").trim()}…` : plain.join("");
  return `${t("“{text}”", { text: quoted })}\n`;
}
