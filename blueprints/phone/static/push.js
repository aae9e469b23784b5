// Web Push: this browser's subscription, registered at the server.

import { call } from "./api.js";
import * as db from "./db.js";
import { isApple, isInstalled } from "./home_screen.js";
import { state } from "./state.js";
import { t } from "./words.js";

// Whether this browser can: "yes", or why not.
export function ability() {
  if (!state.me?.vapid_public_key) return "server";
  if (!isSecureContext) return "insecure";
  if (!("serviceWorker" in navigator) || !("PushManager" in window) || !("Notification" in window)) {
    return isApple() && !isInstalled() ? "home" : "browser";
  }
  return Notification.permission === "denied" ? "denied" : "yes";
}

export const REASONS = {
  server: t("This server sends no notifications."),
  insecure: t("Notifications need an address that begins with https."),
  home: t("First add this app to the Home Screen: Share, then “Add to Home Screen”. Open it from there."),
  browser: t("This browser cannot show notifications of web apps."),
  denied: t("Notifications are blocked for this app. Allow them in the settings of your browser or phone."),
};

export function isOn() {
  return state.me?.device.push?.type === "webpush";
}

// Ask for permission and subscribe; false if the permission was not given.
export async function turnOn() {
  if ((await Notification.requestPermission()) !== "granted") return false;
  await subscribe();
  await db.set("wants_push", true);
  return true;
}

export async function turnOff() {
  await db.set("wants_push", false);
  await change({ push: { type: "none" } });
  const subscription = await (await navigator.serviceWorker.ready).pushManager.getSubscription();
  await subscription?.unsubscribe();
}

// At every start: a browser may have renewed its subscription, the server its key, or the push
// service may have forgotten the subscription, so that the server has none any more.
export async function renew() {
  const wanted = (await db.get("wants_push")) ?? isOn();
  if (wanted && ability() === "yes" && Notification.permission === "granted") await subscribe();
}

async function subscribe() {
  const { pushManager } = await navigator.serviceWorker.ready;
  const key = bytes(state.me.vapid_public_key);
  let subscription = await pushManager.getSubscription();
  const usedKey = subscription?.options.applicationServerKey;
  if (usedKey && String(new Uint8Array(usedKey)) !== String(key)) {
    await subscription.unsubscribe();
    subscription = null;
  }
  subscription ??= await pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: key });
  const { endpoint, keys } = subscription.toJSON();
  await change({ push: { type: "webpush", endpoint, keys: { p256dh: keys.p256dh, auth: keys.auth } } });
}

let last = Promise.resolve();

// Change something of this device at the server; one change after the other, so that the last one counts.
export function change(changes) {
  last = last.catch(() => {}).then(() => put(changes));
  return last;
}

async function put(changes) {
  const device = await call("PUT", `devices/${state.me.device.id}`, { body: changes });
  state.me = { ...state.me, device };
  await db.set("me", state.me);
}

export function test() {
  return call("POST", `devices/${state.me.device.id}/test`, { body: {} });
}

function bytes(base64url) {
  const plain = atob(base64url.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(plain, (character) => character.charCodeAt(0));
}
