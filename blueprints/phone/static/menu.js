// Menus: a sheet with one button for each action.

import { failureReason } from "./api.js";
import { el, icon } from "./dom.js";
import { openSheet } from "./sheet.js";

// `items`: {label, icon, do, opens}; false ones are left out. `do()` may return a promise: the menu is closed
// once it is done, or shows why it failed. With `opens` it is closed before. `more` are further nodes below.
export function openMenu(title, items, ...more) {
  const problem = el("p", { class: "problem", role: "alert", hidden: true });
  const run = async (item) => {
    if (item.opens) sheet.close();
    try {
      await item.do();
      sheet.close();
    } catch (error) {
      problem.textContent = failureReason(error);
      problem.hidden = false;
    }
  };
  const buttons = items
    .filter(Boolean)
    .map((item) => el("button", { type: "button", class: "choice menu-item", on: { click: () => run(item) } }, icon(item.icon), el("span", { class: "choice-name", text: item.label })));
  const sheet = openSheet(title, el("div", { class: "choices" }, buttons), problem, ...more.filter(Boolean));
  return sheet;
}
