// The files of a message: pictures, what can be played, contact cards, and links to all others.

import { filePath } from "./api.js";
import { LARGEST_CARD, contactCard } from "./contact_card.js";
import { el, icon } from "./dom.js";
import { state } from "./state.js";
import { openViewer } from "./viewer.js";
import { sizeOf } from "./format.js";
import { whyNoFile } from "./reasons.js";
import { t } from "./words.js";

const isPicture = (file) => /^image\/(jpeg|png|gif|webp|avif|bmp)$/.test(file.content_type);

export function makeFile(file, shown) {
  // Most files are pictures: reserve the space, so that nothing moves when one is loaded.
  if (file.state === "pending") return el("p", { class: "picture waiting", text: t("Downloading …") });
  if (file.state === "failed") return el("p", { class: "file-note", text: whyNoFile(file) });
  const address = file.blob ? URL.createObjectURL(file.blob) : filePath(file.url);
  const kind = file.content_type.split("/")[0];
  if (isPicture(file)) return picture(address);
  if (["audio", "video"].includes(kind) && !file.blob) return player(kind, file, address);
  if (file.content_type === "text/vcard" && file.size <= LARGEST_CARD) return contactCard(file, fileLink(file, address), () => shown.own);
  return fileLink(file, address);
}

export function paintFile(part, file, shown) {
  const [media] = part.children;
  if (media?.matches("img")) {
    part.setAttribute("aria-label", pictureLabel(shown));
    part.onclick = () => openViewer(media.src, file.name || "picture");
    whenExpired(media, file, shown, () => {});
  } else if (media?.matches("audio, video")) {
    media.setAttribute("aria-label", media.tagName === "VIDEO" ? videoLabel(shown) : recordingLabel(shown));
    whenExpired(media, file, shown, () => part.replaceChildren(fileLink(file, media.getAttribute("src")))); // this browser cannot play it
  }
}

const pictureLabel = ({ mine, with: name }) =>
  mine ? t("Picture to {name}, show it large", { name }) : t("Picture from {name}, show it large", { name });
const videoLabel = ({ mine, with: name }) => (mine ? t("Video to {name}", { name }) : t("Video from {name}", { name }));
const recordingLabel = ({ mine, with: name }) => (mine ? t("Recording to {name}", { name }) : t("Recording from {name}", { name }));

// A link expires after a day: the message, loaded again, has a new one. `giveUp()` is called if that fails, too.
function whenExpired(media, file, shown, giveUp) {
  if (media.onerror) return;
  media.onload = media.onloadedmetadata = () => (media.onerror = null);
  media.onerror = async () => {
    media.onerror = giveUp;
    if (!shown.id) return giveUp();
    await state.reload(shown.id).catch(() => {});
    const address = newAddress(shown, file);
    if (address && address !== media.getAttribute("src")) media.src = address;
    else giveUp();
    return undefined;
  };
}

function newAddress(shown, file) {
  const message = state.messages(shown.conversation_id).find((one) => one.id === shown.id);
  const url = message?.media.find((one) => one.id === file.id)?.url;
  return url ? filePath(url) : null;
}

function picture(address) {
  const image = el("img", { alt: "", loading: "lazy", decoding: "async", src: address });
  return el("button", { type: "button", class: "picture" }, image);
}

function player(kind, file, address) {
  const media = el(kind, { controls: true, preload: "metadata", playsinline: true, src: address });
  return el("div", { class: `player ${kind}-player` }, media);
}

// A PDF opens in the browser's viewer, with a second link that saves it; any other file is saved.
function fileLink(file, address) {
  const isPdf = file.content_type === "application/pdf";
  const name = file.name || t("File");
  const size = el("span", { class: "file-size", text: [file.content_type.split("/")[1], sizeOf(file.size)].filter(Boolean).join(" · ") });
  const way = isPdf ? { target: "_blank", rel: "noopener noreferrer" } : { download: file.name || true };
  const words = [icon("file"), el("span", { class: "file-words" }, el("bdi", { class: "file-name", text: name }), size)];
  if (!isPdf) return el("a", { class: "file", href: address, ...way }, words, icon("download"));
  const save = el("a", { class: "icon-button", href: address, download: file.name || true, "aria-label": t("Save {name}", { name }), title: t("Save") }, icon("download"));
  return el("div", { class: "file" }, el("a", { class: "file-open", href: address, ...way }, words), save);
}
