// Times in the time zone and format of the browser.

const FULL = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

export function localTimes(part) {
  for (const time of part.querySelectorAll("time[datetime]")) {
    const local = FULL.format(new Date(time.dateTime));
    if (time.classList.contains("ago")) time.title = local;
    else time.textContent = local;
  }
}
