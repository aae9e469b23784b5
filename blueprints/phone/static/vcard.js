// Contact cards (vCard, RFC 6350 and its older versions): names and phone numbers.

const MOST = 5; // contacts of one file

// [{name, numbers}] of a file's text; contacts without a number are left out.
export function readContacts(text) {
  const contacts = [];
  let open = null;
  for (const line of unfolded(text)) {
    const [head, ...rest] = line.split(":");
    const [key, ...options] = head.split(";");
    const name = key.split(".").at(-1).toUpperCase(); // “item1.TEL” is a TEL
    const value = decoded(rest.join(":"), options);
    if (name === "BEGIN" && /^vcard$/i.test(value.trim())) open = { name: "", numbers: [] };
    else if (!open) continue;
    else if (name === "FN") open.name = value.trim();
    else if (name === "N") open.name ||= fromParts(value);
    else if (name === "TEL") open.numbers.push(value.replace(/^tel:/i, "").replace(/;ext=.*$/i, "").trim());
    else if (name === "END") {
      if (open.numbers.length) contacts.push(open);
      open = null;
    }
  }
  return contacts.slice(0, MOST);
}

// Long lines go on in the next one, which begins with a space; in quoted-printable they end with “=”.
function unfolded(text) {
  return text
    .replace(/\r\n?/g, "\n")
    .replace(/\n[ \t]/g, "")
    .replace(/(;ENCODING=QUOTED-PRINTABLE[^\n]*)((?:=\n[^\n]*)+)/gi, (_, first, more) => first + more.replaceAll("=\n", ""))
    .split("\n");
}

function decoded(value, options) {
  if (!options.some((one) => /quoted-printable/i.test(one))) return value.replace(/\\([,;\\])/g, "$1").replace(/\\n/gi, " ");
  const bytes = value.replace(/=([0-9A-F]{2})/gi, (_, hex) => String.fromCharCode(parseInt(hex, 16)));
  return new TextDecoder().decode(Uint8Array.from(bytes, (one) => one.charCodeAt(0)));
}

function fromParts(value) {
  const [family = "", given = ""] = value.split(";");
  return `${given} ${family}`.trim();
}
