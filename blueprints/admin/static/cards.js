// On phones a row of a table is a card: each cell says the title of its column (see tables.css).

export function labelCells(root) {
  for (const table of root.querySelectorAll(".table table")) {
    const titles = [...table.querySelectorAll("thead th")].map((head) => head.textContent.trim());
    if (!titles.length) continue;
    for (const row of table.tBodies[0]?.rows ?? []) {
      [...row.cells].forEach((cell, n) => {
        cell.dataset.label = titles[n] ?? "";
        if (!cell.textContent.trim() && !cell.children.length) cell.dataset.blank = "";
      });
    }
    table.classList.add("labelled");
  }
}
