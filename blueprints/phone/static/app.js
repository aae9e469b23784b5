// The app: start, pairing, sign-out, and routing by the hash of the address.

import * as api from "./api.js";
import { Refused, Unreachable } from "./api.js";
import * as db from "./db.js";
import { say } from "./dom.js";
import { draftKey, drafts } from "./drafts.js";
import { install, isNewer } from "./install.js";
import { listenToKeys } from "./keys.js";
import { List } from "./list.js";
import { Live } from "./live.js";
import { NewTalk } from "./new.js";
import { News } from "./news.js";
import { outbox } from "./outbox.js";
import { Pairing } from "./pairing.js";
import { renew } from "./push.js";
import { recallRepeated } from "./remedies.js";
import { openSettings } from "./settings.js";
import { SetupCard } from "./setup_card.js";
import { state } from "./state.js";
import { Talk } from "./talk.js";
import { t } from "./words.js";

const NO_CONNECTION_AFTER = 1500;
const page = document.documentElement;
const wide = matchMedia("(min-width: 800px)");
const title = document.title;
const goBack = () => (location.hash = "#/");

const pairing = new Pairing(signIn);
const list = new List();
const setupCard = new SetupCard();
const talk = new Talk(goBack);
const fresh = new NewTalk(goBack);
const news = new News(() => (talk.isOpen ? talk.id : null));
let live = null;

async function start() {
  fitKeyboard();
  document.getElementById("new").addEventListener("click", () => (location.hash = "#/new"));
  document.getElementById("settings").addEventListener("click", showSettings);
  addEventListener("hashchange", show);
  listenToKeys({ search: () => toSearch(), nextUnread: () => toNextUnread() });
  wide.addEventListener("change", show);
  const code = codeInAddress();
  const token = await db.get("token");
  if (token && !code) await open(token);
  else if (token) offer(code, t("This device is paired already. A new code pairs it anew."));
  else offer(code, sessionStorage.getItem("farewell") ?? "");
  sessionStorage.removeItem("farewell");
  await install((id) => (location.hash = `#/c/${id}`));
  if (token && !code) await renew().catch(expected);
}

// Who we are may not be known yet, in the first moment after pairing.
async function showSettings() {
  if (!state.me) await new Promise((resolve) => state.addEventListener("me", resolve, { once: true }));
  openSettings(leave);
}

// The code of a pairing link; it is removed from the address at once.
function codeInAddress() {
  const code = new URLSearchParams(location.hash.slice(1)).get("code");
  if (code) history.replaceState(null, "", location.pathname);
  return code;
}

function offer(code, words) {
  page.dataset.state = "pairing";
  document.getElementById("app").hidden = true;
  pairing.open(code, words);
}

async function signIn({ token }) {
  live?.stop();
  drafts.stop();
  await db.forgetEverything();
  await db.set("token", token);
  location.reload();
}

async function open(token) {
  api.use(token, () => leave(t("This device was signed out. Ask for a new code to pair it again.")));
  await Promise.all([state.recall(), outbox.recall(), drafts.recall(), recallRepeated(), setupCard.recall()]);
  page.dataset.state = "open";
  document.getElementById("app").hidden = false;
  for (const type of ["conversations", "me"]) state.addEventListener(type, count);
  state.addEventListener("connection", tellConnection);
  list.paint();
  await show();
  live = new Live(() => outbox.flush());
  live.run();
  state.tidy();
}

async function leave(words = "") {
  live?.stop();
  drafts.stop();
  await db.forgetEverything();
  sessionStorage.setItem("farewell", words);
  location.replace(location.pathname);
}

// #/ the list, #/new, #/c/<conversation>[/<seq>], #/to/<our number>/<their numbers>
async function show() {
  if (codeOffered()) return;
  const [, kind = "", ...rest] = location.hash.split("/");
  const peers = (rest[1] ?? "").split(",").filter(Boolean).map(decodeURIComponent);
  const inTalk = ["c", "to", "new"].includes(kind);
  page.dataset.place = inTalk ? "talk" : "list";
  document.getElementById("list").inert = inTalk && !wide.matches;
  document.getElementById("talk").inert = !inTalk && !wide.matches;
  document.getElementById("nobody").hidden = inTalk;
  list.select(kind === "c" ? rest[0] : kind === "to" ? draftKey(rest[0], peers) : null);
  if (!inTalk || rest[0] === news.id) news.hide();
  if (kind !== "new") fresh.close();
  if (kind !== "c" && kind !== "to") closeTalk();
  try {
    if (kind === "new" && !fresh.isOpen) fresh.open();
    else if (kind === "c" && (talk.id !== rest[0] || rest[1])) await talk.open(rest[0], Number(rest[1] ?? 0));
    else if (kind === "to") await talk.openNew(rest[0], peers);
  } catch (error) {
    expected(error);
    goBack();
  }
}

function toSearch() {
  if (!wide.matches) goBack();
  document.getElementById("list").inert = false;
  list.focusSearch();
}

function toNextUnread() {
  const next = list.nextUnread();
  if (next) location.hash = `#/c/${next.id}`;
  else say(t("Nothing unread."));
}

function codeOffered() {
  const code = codeInAddress();
  if (code) offer(code, t("A new code pairs this device anew."));
  return Boolean(code);
}

// Back in the list, the focus is where it was.
function closeTalk() {
  const { id } = talk;
  const wasOpen = talk.isOpen;
  talk.close();
  if (!wasOpen || !document.getElementById("talk").contains(document.activeElement)) return;
  const row = id && document.querySelector(`a.row-link[href="#/c/${id}"]`);
  (row || document.getElementById("search")).focus({ preventScroll: true });
}

// Errors that are expected here; they are shown where they matter.
function expected(error) {
  if (!(error instanceof Refused || error instanceof Unreachable || error instanceof DOMException)) throw error;
}

function count() {
  const { unread } = state;
  document.title = unread ? `(${unread}) ${title}` : title;
  if ("setAppBadge" in navigator) navigator.setAppBadge(unread).catch(() => {});
}

let timer = null;

function tellConnection() {
  clearTimeout(timer);
  const note = document.getElementById("connection");
  if (state.connected) {
    note.hidden = true;
    return;
  }
  timer = setTimeout(() => {
    note.hidden = false;
    say(t("No connection. What you write is kept and sent later."));
  }, NO_CONNECTION_AFTER);
}

// An on-screen keyboard covers a part of the page.
function fitKeyboard() {
  const view = window.visualViewport;
  const fit = () => page.style.setProperty("--height", `${view.height}px`);
  view.addEventListener("resize", fit);
  fit();
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) drafts.flush().then(() => isNewer() && location.reload(), expected);
  if (!document.hidden && live) Promise.all([state.loadMe(), state.loadContacts(), state.loadPeople()]).catch(expected); // others may have changed them
});

start();
