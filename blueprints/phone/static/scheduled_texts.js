// The scheduled texts of all numbers of the extension, as far as this device knows them.

import { call } from "./api.js";
import * as db from "./db.js";

const PAGE = 200;

// The status of a message, or that it is scheduled or cancelled, for which `status` has older names.
export function stateOf({ state, status }) {
  return ["scheduled", "cancelled"].includes(state) ? state : status;
}

export class ScheduledTexts {
  #known = new Map(); // id -> message

  async recall() {
    this.#replace((await db.get("scheduled")) ?? []);
  }

  async load() {
    const found = [];
    for (let more = true; more; ) {
      const page = await call("GET", `scheduled?limit=${PAGE}&offset=${found.length}`);
      found.push(...page.items);
      more = page.has_more;
    }
    this.#replace(found);
    await this.#store();
  }

  // A message, new or changed; resolves to whether it is, or was, one of these.
  async take(message) {
    const before = this.#known.get(message.id);
    if (before && before.updated_at > message.updated_at) return false;
    if (message.state === "scheduled") this.#known.set(message.id, message);
    else if (!this.#known.delete(message.id)) return false;
    await this.#store();
    return true;
  }

  // Those that match were deleted.
  async forget(matches) {
    for (const one of [...this.#known.values()].filter(matches)) this.#known.delete(one.id);
    await this.#store();
  }

  // Those of a conversation, the next one first.
  of(conversationId) {
    const theirs = [...this.#known.values()].filter((one) => one.conversation_id === conversationId);
    return theirs.sort((one, other) => one.send_at.localeCompare(other.send_at));
  }

  #replace(found) {
    this.#known = new Map(found.map((one) => [one.id, one]));
  }

  #store() {
    return db.set("scheduled", [...this.#known.values()]);
  }
}
