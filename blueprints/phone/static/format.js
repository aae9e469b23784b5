// Formatting for display: names, phone numbers, times, sizes and states.

import { state } from "./state.js";
import { locale, many, t } from "./words.js";

const AMERICAN = /^\+1(\d{3})(\d{3})(\d{4})$/;
const DAY = 86_400_000;

const CHANNEL = /^(whatsapp|rcs):(\+\d+)$/;
const CHANNELS = { whatsapp: "WhatsApp", rcs: "RCS" };

// +13035550177 as people write it; other countries' numbers and senders that are none as they are.
export function spoken(number) {
  const way = CHANNEL.exec(number);
  if (way) return `${spoken(way[2])} (${CHANNELS[way[1]]})`;
  const parts = AMERICAN.exec(number);
  return parts ? `(${parts[1]}) ${parts[2]}-${parts[3]}` : number;
}

export function nameOf(number) {
  const way = CHANNEL.exec(number);
  const name = way && state.contacts.get(way[2]);
  return state.contacts.get(number) ?? (name ? `${name} (${CHANNELS[way[1]]})` : spoken(number));
}

// Who has written a text: an extension, by the name of its person if it has one, or an e-mail
// address that has answered a mail.
export function authorOf(author) {
  const name = state.people.get(author)?.name;
  if (name) return name;
  return author.includes("@") ? author : t("Extension {extension}", { extension: author });
}

export function peersOf(conversation) {
  return conversation.participants.length ? conversation.participants : [conversation.peer];
}

export function sameMembers(some, others) {
  return [...some].sort().join() === [...others].sort().join();
}

export function titleOf(peers) {
  if (peers.length === 1) return nameOf(peers[0]);
  const names = peers.map(nameOf);
  if (names.length <= 3) return listOf(names);
  return many(names.length - 2, "{names} and {count} other", "{names} and {count} others", { names: listOf(names.slice(0, 2)) });
}

// The display name of one of our numbers.
export function ownName(number) {
  const own = state.me?.numbers.find((one) => one.number === number);
  return own?.description || spoken(number);
}

// A phone number in the form that the server stores, as far as it is known here: the server reads all else by the
// country of the installation, whatever our own numbers are.
export function plainNumber(written) {
  const text = written.trim();
  const digits = text.replace(/[\s().\-/]/g, "");
  if (/^\+\d{6,15}$/.test(digits)) return digits;
  const american = ["US", "CA"].includes(state.me?.country);
  if (american && /^\d{10}$/.test(digits)) return `+1${digits}`;
  if (american && /^1\d{10}$/.test(digits)) return `+${digits}`;
  return /^\d{3,15}$/.test(digits) ? digits : null;
}

const list = new Intl.ListFormat(locale, { type: "unit", style: "short" });

// Some names in one line.
export function listOf(names) {
  return list.format(names);
}

const clock = new Intl.DateTimeFormat(locale, { hour: "numeric", minute: "2-digit" });
const weekday = new Intl.DateTimeFormat(locale, { weekday: "long" });
const date = new Intl.DateTimeFormat(locale, { day: "numeric", month: "short" });
const longDate = new Intl.DateTimeFormat(locale, { weekday: "long", day: "numeric", month: "long" });
const shortWithYear = new Intl.DateTimeFormat(locale, { day: "numeric", month: "short", year: "numeric" });
const dateWithYear = new Intl.DateTimeFormat(locale, { weekday: "long", day: "numeric", month: "long", year: "numeric" });

function daysAgo(at) {
  const midnight = (moment) => new Date(moment).setHours(0, 0, 0, 0);
  return Math.round((midnight(Date.now()) - midnight(at)) / DAY);
}

export function timeOf(at) {
  return clock.format(new Date(at));
}

// The short form of a time, for a list.
export function briefly(at) {
  const days = daysAgo(at);
  if (days <= 0) return timeOf(at);
  if (days === 1) return t("Yesterday");
  if (days < 7) return weekday.format(new Date(at));
  return dayAndMonth(at);
}

// The date of a time, with the year if that is another one.
export function dayAndMonth(at) {
  return (isThisYear(at) ? date : shortWithYear).format(new Date(at));
}

// The heading of a day.
export function dayOf(at) {
  const days = daysAgo(at);
  if (days <= 0) return t("Today");
  if (days === 1) return t("Yesterday");
  return longDay(at);
}

// When a text is to be sent, such as “Tomorrow, 8:00 AM”.
export function laterAt(at) {
  const days = -daysAgo(at);
  const near = days <= 0 ? dayOf(at) : days === 1 ? t("Tomorrow") : days < 7 && weekday.format(new Date(at));
  return t("{day}, {time}", { day: near || longDay(at), time: timeOf(at) });
}

// The day with its date, and with the year if that is another one.
export function longDay(at) {
  return (isThisYear(at) ? longDate : dateWithYear).format(new Date(at));
}

function isThisYear(at) {
  return new Date(at).getFullYear() === new Date().getFullYear();
}

const fullFormat = new Intl.DateTimeFormat(locale, { dateStyle: "full", timeStyle: "long" });

// The day and the time with its zone.
export function fullTime(at) {
  return fullFormat.format(new Date(at));
}

// The time zone of this device, such as “America/New York”.
export function timeZone() {
  return clock.resolvedOptions().timeZone.replaceAll("_", " ");
}

export function sizeOf(bytes) {
  if (bytes < 1000) return size("byte", { unitDisplay: "long" }).format(bytes);
  if (bytes < 1_000_000) return size("kilobyte", { maximumFractionDigits: 0 }).format(bytes / 1000);
  return size("megabyte", { minimumFractionDigits: 1, maximumFractionDigits: 1 }).format(bytes / 1_000_000);
}

function size(unit, digits) {
  return new Intl.NumberFormat(locale, { style: "unit", unit, ...digits });
}

export function mediaWord(media) {
  if (!media.length) return "";
  const pictures = media.every((file) => file.content_type.startsWith("image/"));
  return pictures ? many(media.length, "Picture", "{count} pictures") : many(media.length, "File", "{count} files");
}

// One line for a message, or a draft (`files`).
export function summaryOf({ text, media, files = [] }) {
  const attached = media ?? files.map(({ blob }) => ({ content_type: blob.type }));
  return text.replace(/\s+/g, " ").trim() || mediaWord(attached);
}

export const STATES = {
  scheduled: t("Scheduled"),
  cancelled: t("Cancelled"),
  waiting: t("Waiting to be sent"),
  queued: t("Sending …"),
  sending: t("Sending …"),
  sent: t("Sent"),
  delivered: t("Delivered"),
  failed: t("Not delivered"),
  refused: t("Not sent"),
  unknown: t("May not have been sent"),
};
