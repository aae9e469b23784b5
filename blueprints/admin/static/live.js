// Parts of a page that update themselves: <section id="…" data-live="SECONDS">.
// The page is fetched again as a whole; parts that the user is just using stay as they are.

export function keepLive(renewed) {
  const parts = [...document.querySelectorAll("[data-live][id]")];
  if (!parts.length) return;
  const seconds = Math.min(...parts.map((part) => Number(part.dataset.live)));
  setInterval(() => renew(parts.map((part) => part.id), renewed), seconds * 1000);
}

async function renew(ids, renewed) {
  if (document.hidden) return;
  let page;
  try {
    const answer = await fetch(location.href, { headers: { "X-Live": "1" } });
    if (!answer.ok || answer.redirected) return;
    page = new DOMParser().parseFromString(await answer.text(), "text/html");
  } catch {
    return; // the server restarts, or the network is away: the next turn comes
  }
  for (const id of ids) {
    const old = document.getElementById(id);
    const fresh = page.getElementById(id);
    if (!old || !fresh || isUsed(old) || old.dataset.was === fresh.innerHTML) continue;
    fresh.dataset.was = fresh.innerHTML;
    old.replaceWith(fresh);
    renewed(fresh);
  }
}

const isUsed = (part) =>
  part.contains(document.activeElement) || part.querySelector("details[open]") !== null || chosenIn(part);

function chosenIn(part) {
  const selection = getSelection();
  return !selection.isCollapsed && part.contains(selection.anchorNode);
}
