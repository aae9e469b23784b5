// Registers the service worker, for start without a connection and notifications.

import { language } from "./words.js";

// The service worker has its own words, and keeps those of the app, in one language.
const WORKER = language === "en" ? "/phone/service-worker.js" : `/phone/service-worker.js?language=${language}`;

export async function install(openConversation) {
  if (!("serviceWorker" in navigator)) return; // plain http: the app works, but only online
  navigator.serviceWorker.addEventListener("message", ({ data }) => {
    if (data.type === "open") openConversation(data.conversation_id);
  });
  const registration = await navigator.serviceWorker.register(WORKER, { scope: "/phone/" }).catch(() => null);
  if (!registration) return;
  // A new version is activated once this page has loaded the old one completely, and is shown when
  // the page is hidden the next time.
  const takeOver = (worker) => worker.postMessage({ type: "take over" });
  if (registration.waiting) takeOver(registration.waiting);
  registration.addEventListener("updatefound", () => {
    const worker = registration.installing;
    worker.addEventListener("statechange", () => worker.state === "installed" && navigator.serviceWorker.controller && takeOver(worker));
  });
  if (navigator.serviceWorker.controller) {
    navigator.serviceWorker.addEventListener("controllerchange", () => (newer = true), { once: true });
  }
  document.addEventListener("visibilitychange", () => !document.hidden && registration.update().catch(() => {}));
}

let newer = false;

// Whether a newer version of the app waits to be shown.
export const isNewer = () => newer;
