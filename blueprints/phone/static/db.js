// Local storage in IndexedDB: the token, loaded messages, and the outbox.

const NAME = "textbridge-phone";
const STORES = { settings: "key", conversations: "id", contacts: "number", outbox: "client_id", messages: "id" };
let opened;

function open() {
  opened ??= new Promise((resolve, reject) => {
    const asked = indexedDB.open(NAME, 1);
    asked.onupgradeneeded = () => {
      for (const [name, keyPath] of Object.entries(STORES)) asked.result.createObjectStore(name, { keyPath });
      asked.transaction.objectStore("messages").createIndex("conversation", ["conversation_id", "seq"]);
    };
    asked.onsuccess = () => resolve(asked.result);
    asked.onerror = () => reject(asked.error);
  });
  return opened;
}

// Run `work(store)` in a transaction; resolves to the result of its request once the transaction is complete.
async function within(name, mode, work) {
  const transaction = (await open()).transaction(name, mode, { durability: "strict" });
  const request = work(transaction.objectStore(name));
  if (mode === "readwrite") transaction.commit(); // else it is undone where the page is left before the answer
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve(request?.result);
    transaction.onabort = transaction.onerror = () => reject(transaction.error);
  });
}

export const all = (name) => within(name, "readonly", (store) => store.getAll());
export const put = (name, ...items) =>
  within(name, "readwrite", (store) => items.forEach((item) => void store.put(item)));
export const remove = (name, key) => within(name, "readwrite", (store) => void store.delete(key));

// Replace all entries of a store.
export const replace = (name, items) =>
  within(name, "readwrite", (store) => {
    store.clear();
    for (const item of items) store.put(item);
  });

export async function get(key) {
  return (await within("settings", "readonly", (store) => store.get(key)))?.value;
}

// The settings whose keys begin with this: [{key, value}].
export const startingWith = (prefix) =>
  within("settings", "readonly", (store) => store.getAll(IDBKeyRange.bound(prefix, `${prefix}\uffff`)));

export const set = (key, value) => put("settings", { key, value });

// The kept messages of a conversation, oldest first.
export function messagesOf(conversationId) {
  const range = IDBKeyRange.bound([conversationId, 0], [conversationId, Infinity]);
  return within("messages", "readonly", (store) => store.index("conversation").getAll(range));
}

// Delete everything on this device.
export async function forgetEverything() {
  for (const name of Object.keys(STORES)) await replace(name, []);
}
