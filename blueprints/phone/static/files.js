// The files of a message: pictures, what can be played, contact cards, and links to all others.

import { filePath } from "./api.js";
import { LARGEST_CARD, contactCard } from "./contact_card.js";
import { describedPicture, isPicture, smallAddress } from "./conversation_pictures.js";
import { el, icon } from "./dom.js";
import { state } from "./state.js";
import { openViewer } from "./viewer.js";
import { sizeOf } from "./format.js";
import { whyNoFile } from "./reasons.js";
import { t } from "./words.js";

const WIDEST = 2; // a picture in its message is at most so much wider than high …
const HIGHEST = 0.7; // … and at least so wide

export function makeFile(file, shown) {
  // Most files are pictures: reserve the space, so that nothing moves when one is loaded.
  if (file.state === "pending") return el("p", { class: "picture waiting", text: t("Downloading …") });
  if (file.state === "failed") return el("p", { class: "file-note", text: whyNoFile(file) });
  const address = file.blob ? URL.createObjectURL(file.blob) : filePath(file.url);
  const kind = file.content_type.split("/")[0];
  if (isPicture(file)) return picture(file, file.blob ? address : smallAddress(file));
  if (["audio", "video"].includes(kind) && !file.blob) return player(kind, file, address);
  if (file.content_type === "text/vcard" && file.size <= LARGEST_CARD) return contactCard(file, fileLink(file, address), () => shown.own);
  return fileLink(file, address);
}

export function paintFile(part, file, shown) {
  const [media] = part.children;
  if (media?.matches("img")) {
    const described = describedPicture(shown);
    part.setAttribute("aria-label", t("{picture}: show it large", { picture: described }));
    part.onclick = () => openLarge(file, shown, media.src, described);
    whenExpired(media, file, shown, () => {});
  } else if (media?.matches("audio, video")) {
    media.setAttribute("aria-label", media.tagName === "VIDEO" ? videoLabel(shown) : recordingLabel(shown));
    whenExpired(media, file, shown, () => part.replaceChildren(fileLink(file, media.getAttribute("src")))); // this browser cannot play it
  }
}

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
  const renewed = message?.media.find((one) => one.id === file.id);
  if (!renewed?.url) return null;
  if (isPicture(file) && !isPicture(renewed)) return null; // it cannot be shown, as is known now
  return isPicture(renewed) ? smallAddress(renewed) : filePath(renewed.url);
}

function picture({ width, height }, address) {
  const image = el("img", { alt: "", loading: "lazy", decoding: "async", src: address });
  const frame = el("button", { type: "button", class: "picture" }, image);
  if (width && height) frame.style.aspectRatio = String(Math.min(WIDEST, Math.max(HIGHEST, width / height)));
  return frame;
}

function openLarge(file, shown, address, described) {
  const whole = file.url ? filePath(file.url) : address;
  const picture = { id: file.id, messageId: shown.id, small: address, whole, name: file.name || "picture", described };
  openViewer(picture, file.url ? shown : null);
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
