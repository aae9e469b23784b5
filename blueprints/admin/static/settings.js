// One box that chooses all numbers of the page.

const all = document.getElementById("all");
const boxes = [...document.querySelectorAll('input[name="number"][form="bulk"]')];

if (all) {
  all.hidden = false;
  all.addEventListener("change", () => boxes.forEach((box) => (box.checked = all.checked)));
}
