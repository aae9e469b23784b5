// The service worker. The server puts SHELL before this: the files of the app, their version, and the language.

const KEPT = `textbridge-phone-${SHELL.version}`;
const PAGE = "/phone/";

addEventListener("install", (event) => {
  // The name of a built file changes with its content, so the browser's own copy is right.
  const cacheOf = (file) => (file.startsWith("built/") ? "default" : "reload");
  const fresh = (file) => new Request(PAGE + file.replace("./", ""), { cache: cacheOf(file) });
  event.waitUntil(caches.open(KEPT).then((cache) => cache.addAll(SHELL.files.map(fresh))));
});

addEventListener("activate", (event) => {
  event.waitUntil(forgetOthers().then(() => clients.claim()));
});

addEventListener("message", ({ data }) => {
  if (data.type === "take over") skipWaiting();
});

async function forgetOthers() {
  const names = await caches.keys();
  const others = names.filter((name) => name.startsWith("textbridge-phone-") && name !== KEPT);
  await Promise.all(others.map((name) => caches.delete(name)));
}

// The app's own files come from the cache, everything else from the network.
addEventListener("fetch", (event) => {
  const { pathname, origin } = new URL(event.request.url);
  if (event.request.method !== "GET" || origin !== location.origin || !pathname.startsWith(PAGE)) return;
  event.respondWith(kept(event.request));
});

async function kept(request) {
  const cache = await caches.open(KEPT);
  return (await cache.match(request, { ignoreSearch: true })) ?? fetch(request);
}

// Notifications

addEventListener("push", (event) => event.waitUntil(notify(event.data?.json() ?? {})));

async function notify(notice) {
  if ("unread_total" in notice && "setAppBadge" in navigator) await navigator.setAppBadge(notice.unread_total).catch(() => {});
  if (notice.type === "conversation.read") return takeAway(notice.conversation_id);
  const seen = (await windows()).some((one) => one.focused && one.url.includes(notice.conversation_id));
  catalogue = await translations();
  return registration.showNotification(await titleOf(notice), {
    body: bodyOf(notice),
    tag: notice.conversation_id ?? notice.type,
    renotify: !seen,
    silent: seen,
    icon: `${PAGE}icon-192.png`,
    badge: `${PAGE}badge-96.png`,
    data: { conversation_id: notice.conversation_id },
  });
}

// The title of the server has numbers; names are known on this device only.
async function titleOf({ kind, title, peer, others }) {
  if (!peer) return kind === "test" ? title : t("New message");
  const name = await nameOf(peer);
  return others ? many(others, "{name} and {count} more", "{name} and {count} more", { name }) : name;
}

// The words of the server, in the language of the app; the text of a message is as it is.
function bodyOf({ kind, count, body = "" }) {
  if (kind === "new") return t("New message");
  if (kind === "pictures") return many(count, "Picture", "{count} pictures");
  if (kind === "attachments") return many(count, "Attachment", "{count} attachments");
  return kind === "test" ? t("Notifications arrive on this device.") : body;
}

// Words, as words.js has them: this is no module.

let catalogue = {};

async function translations() {
  const found = await caches.match(`${PAGE}words_${SHELL.language}.json`);
  return found ? found.json() : {};
}

function t(sentence, values = {}) {
  return filled(catalogue[sentence] ?? sentence, values);
}

function many(count, one, other, values = {}) {
  const form = catalogue[other]?.[new Intl.PluralRules(SHELL.language).select(count)] ?? catalogue[other]?.other;
  return filled(form ?? (count === 1 ? one : other), { count, ...values });
}

function filled(sentence, values) {
  return sentence.replace(/\{(\w+)\}/g, (hole, name) => values[name] ?? hole);
}

async function takeAway(tag) {
  for (const shown of await registration.getNotifications({ tag })) shown.close();
}

function windows() {
  return clients.matchAll({ type: "window", includeUncontrolled: true });
}

addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil(openConversation(event.notification.data?.conversation_id));
});

async function openConversation(id) {
  const [open] = (await windows()).filter((one) => new URL(one.url).pathname === PAGE);
  if (!open) return clients.openWindow(id ? `${PAGE}#/c/${id}` : PAGE);
  if (id) open.postMessage({ type: "open", conversation_id: id });
  return open.focus();
}

// The contact name of a number on this device; the server sends only the number.
function nameOf(number) {
  return new Promise((resolve) => {
    const asked = indexedDB.open("textbridge-phone");
    asked.onupgradeneeded = () => asked.transaction.abort(); // there is none
    asked.onerror = () => resolve(number);
    asked.onsuccess = () => {
      const found = asked.result.transaction("contacts").objectStore("contacts").get(number ?? "");
      found.onerror = () => resolve(number);
      found.onsuccess = () => {
        asked.result.close();
        resolve(found.result?.name ?? number);
      };
    };
  });
}
