// Contacts as files, in the settings: import of vCard and CSV with a preview, and export.

import { ask, call, failureReason } from "./api.js";
import { el, fill, say } from "./dom.js";
import { openSheet } from "./sheet.js";
import { state } from "./state.js";
import { many, t } from "./words.js";

const PATIENCE = 60_000; // milliseconds
const SHOWN = 50; // lines of a preview

// The nodes of the settings; `guarded` shows what has failed.
export function contactFiles(guarded) {
  const file = el("input", { type: "file", class: "hidden", id: "contact-file", accept: ".vcf,.vcard,.csv,.txt,text/vcard,text/csv", tabindex: "-1", "aria-label": t("File with contacts") });
  file.addEventListener("change", () => {
    const [chosen] = file.files;
    if (chosen) guarded(() => openImport(chosen));
    file.value = "";
  });
  const button = (text, click) => el("button", { type: "button", class: "button", text, on: { click } });
  return [
    el("h3", { text: t("Contacts") }),
    file,
    el(
      "div",
      { class: "buttons" },
      button(t("Import …"), () => file.click()),
      button(t("Export as vCard"), () => guarded(() => download("vcard", "contacts.vcf"))),
      button(t("Export as CSV"), () => guarded(() => download("csv", "contacts.csv"))),
    ),
  ];
}

async function download(format, name) {
  const content = await (await ask("GET", `contacts/export?format=${format}`)).blob();
  const link = el("a", { href: URL.createObjectURL(content), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), PATIENCE);
}

function send(file, options) {
  const form = new FormData();
  form.append("file", file);
  return call("POST", `contacts/import?${new URLSearchParams(options)}`, { file: form, patience: PATIENCE });
}

// A sheet that shows what a file would change, and changes it. Throws what the server refuses.
async function openImport(file) {
  let plan = await send(file, { dry_run: true });
  const content = el("div", { class: "import", role: "status" });
  const problem = el("p", { class: "problem", role: "alert", hidden: true });
  const replace = el("input", { type: "checkbox", role: "switch", id: "replace-contacts" });
  const go = el("button", { type: "button", class: "button primary wide", text: t("Import") });
  const paint = () => {
    fill(content, ...summary(plan));
    go.disabled = !(plan.added + plan.changed);
  };
  const guarded = async (work) => {
    problem.hidden = true;
    go.disabled = replace.disabled = true;
    try {
      await work();
    } catch (error) {
      problem.textContent = failureReason(error);
      problem.hidden = false;
    }
    replace.disabled = false;
    paint();
  };
  replace.addEventListener("change", () => guarded(async () => (plan = await send(file, { dry_run: true, replace: replace.checked }))));
  go.addEventListener("click", () =>
    guarded(async () => {
      const done = await send(file, { replace: replace.checked });
      await state.loadContacts();
      sheet.close();
      say(many(done.added + done.changed, "{count} contact imported.", "{count} contacts imported."));
    }),
  );
  paint();
  const sheet = openSheet(
    t("Import contacts"),
    content,
    el("div", { class: "setting" }, el("label", { for: replace.id, text: t("Replace contacts that are there") }), replace),
    el("p", { class: "fine", text: t("Everybody in your organisation sees name and note.") }),
    problem,
    go,
  );
}

function summary({ added, changed, unchanged, skipped, refused, lines }) {
  const counts = [
    many(added, "{count} new contact", "{count} new contacts"),
    changed && many(changed, "{count} contact is changed", "{count} contacts are changed"),
    unchanged && many(unchanged, "{count} contact is there already", "{count} contacts are there already"),
    skipped && many(skipped, "{count} entry is skipped", "{count} entries are skipped"),
    refused && many(refused, "{count} entry cannot be used", "{count} entries cannot be used"),
  ].filter(Boolean);
  const left = lines.filter(({ reason }) => reason).slice(0, SHOWN);
  return [
    el("ul", { class: "import-counts" }, counts.map((text) => el("li", { text }))),
    left.length > 0 && el("details", {}, el("summary", { text: t("What is left out, and why") }), el("ul", {}, left.map((line) => el("li", { dir: "auto", text: t("Line {line}: {reason}", { line: line.line, reason: line.reason }) })))),
  ];
}
