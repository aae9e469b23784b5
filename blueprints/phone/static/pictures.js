// Resizes pictures for the carrier before the upload.

const SIDES = [2048, 1600, 1280, 1024, 800, 640];
const QUALITIES = [0.85, 0.7, 0.55];

// {blob, name}: the file as it is, or a smaller picture in its place. What this browser cannot
// draw, and animated pictures, stay as they are; the server checks the size as well.
export async function fitted(file, most) {
  const asItIs = { blob: file, name: file.name || "file" };
  if (!file.type.startsWith("image/") || file.type === "image/gif" || file.type === "image/svg+xml") return asItIs;
  const drawn = await createImageBitmap(file, { imageOrientation: "from-image" }).catch(() => null);
  if (!drawn) return asItIs;
  const longest = Math.max(drawn.width, drawn.height);
  if (file.size <= most && longest <= SIDES[0]) return asItIs;
  const type = file.type === "image/png" && file.size <= most ? "image/png" : "image/jpeg";
  for (const side of SIDES) {
    for (const quality of QUALITIES) {
      const blob = await smaller(drawn, Math.min(1, side / longest), type, quality);
      if (blob && blob.size <= most) return { blob, name: renamed(file.name, type) };
    }
  }
  return asItIs;
}

function smaller(drawn, scale, type, quality) {
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(drawn.width * scale));
  canvas.height = Math.max(1, Math.round(drawn.height * scale));
  const pen = canvas.getContext("2d");
  if (type === "image/jpeg") {
    pen.fillStyle = "#fff"; // JPEG knows no transparency
    pen.fillRect(0, 0, canvas.width, canvas.height);
  }
  pen.drawImage(drawn, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve) => canvas.toBlob(resolve, type, quality));
}

function renamed(name, type) {
  const stem = (name || "picture").replace(/\.[^.]*$/, "");
  return `${stem}.${type === "image/png" ? "png" : "jpg"}`;
}
