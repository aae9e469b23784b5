// The service worker: it lets the app start without a connection and shows notifications.

export async function install(openConversation) {
  if (!("serviceWorker" in navigator)) return; // plain http: the app works, but only online
  navigator.serviceWorker.addEventListener("message", ({ data }) => {
    if (data.type === "open") openConversation(data.conversation_id);
  });
  const registration = await navigator.serviceWorker.register("/phone/service-worker.js", { scope: "/phone/" }).catch(() => null);
  if (!registration) return;
  // A new version takes over once this page has loaded all of the old one, and is seen at the next
  // moment in which nobody looks.
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
