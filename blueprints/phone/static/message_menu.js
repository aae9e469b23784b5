// The menu of one message: copy, reply with a quote, forward, details.

import { say } from "./dom.js";
import { beginForward } from "./forward.js";
import { openMenu } from "./menu.js";
import { openDetails } from "./message_details.js";
import { filesOf } from "./message_files.js";

const LONGEST_QUOTE = 80; // characters

// `message` is a row of the conversation; `composer` is where a reply is written, null if nothing can be.
export function openMessageMenu(message, composer) {
  const isWhole = message.media.every((file) => file.state === "kept");
  openMenu("Message", [
    message.text && navigator.clipboard && { label: "Copy", icon: "copy", do: () => copy(message.text) },
    message.text && composer && { label: "Reply with quote", icon: "reply", opens: true, do: () => composer.quote(quoteOf(message.text)) },
    isWhole && { label: "Forward …", icon: "forward", do: async () => beginForward({ text: message.text, files: await filesOf(message) }) },
    { label: "Details", icon: "info", opens: true, do: () => openDetails(message) },
  ]);
}

async function copy(text) {
  await navigator.clipboard.writeText(text);
  say("Copied.");
}

function quoteOf(text) {
  const plain = [...text.replace(/\s+/g, " ").trim()];
  return `“${plain.length > LONGEST_QUOTE ? `${plain.slice(0, LONGEST_QUOTE - 1).join("").trim()}…` : plain.join("")}”\n`;
}
