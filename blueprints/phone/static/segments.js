// How many segments a text needs (3GPP TS 23.038), as services/core/segments.py counts them.

const BASIC = new Set(
  "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?" +
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà",
);
const EXTENDED = new Set("\f^{}\\[~]|€");

// {encoding, units, count, left}: left is how many units are free in the last segment.
export function count(text) {
  const characters = [...text];
  const plain = characters.every((one) => BASIC.has(one) || EXTENDED.has(one));
  const sizes = characters.map((one) => (plain ? (EXTENDED.has(one) ? 2 : 1) : one.length));
  const [single, joined] = plain ? [160, 153] : [70, 67];
  const units = sizes.reduce((sum, size) => sum + size, 0);
  return { encoding: plain ? "GSM-7" : "UCS-2", units, ...pack(sizes, units, single, joined) };
}

// Fill segments without cutting an escape or a surrogate pair in two.
function pack(sizes, units, single, joined) {
  if (units <= single) return { count: 1, left: single - units };
  let segments = 1;
  let used = 0;
  for (const size of sizes) {
    if (used + size > joined) {
      segments += 1;
      used = 0;
    }
    used += size;
  }
  return { count: segments, left: joined - used };
}
