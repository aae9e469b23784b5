// Buttons that copy the text beside them.

export function offerCopying(part) {
  for (const button of part.querySelectorAll("button[data-copy]")) {
    button.hidden = false;
    button.addEventListener("click", () => copy(button));
  }
}

async function copy(button) {
  const words = button.querySelector("span");
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
    words.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(button.previousElementSibling);
    words.textContent = "Press Ctrl+C";
  }
  setTimeout(() => (words.textContent = "Copy"), 2500);
}
