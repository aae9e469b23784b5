// The sound for a new text while the app is open: a setting of this device, off at first.

import * as db from "./db.js";
import { state } from "./state.js";

const NOTES = [880, 1174.7]; // hertz
const LENGTH = 0.14; // seconds
const LOUDNESS = 0.12; // of 1
const PAUSE = 1500; // milliseconds between two sounds
let speaker = null;
let last = 0;

export const isOn = async () => (await db.get("sound")) ?? false;
export const turn = (on) => db.set("sound", on);

// Play it if it is turned on and these are no quiet hours of this device.
export async function chime() {
  if (Date.now() - last < PAUSE || !(await isOn()) || isQuiet(state.me?.device.quiet_hours)) return;
  last = Date.now();
  play();
}

// Play it whatever is set. A browser is silent until the user has touched the page.
export function play() {
  speaker ??= new AudioContext();
  speaker.resume().catch(() => {});
  NOTES.forEach((note, at) => ring(note, speaker.currentTime + at * LENGTH));
}

function ring(frequency, from) {
  const tone = new OscillatorNode(speaker, { frequency });
  const volume = new GainNode(speaker, { gain: 0 });
  volume.gain.setValueAtTime(0, from);
  volume.gain.linearRampToValueAtTime(LOUDNESS, from + 0.01);
  volume.gain.exponentialRampToValueAtTime(0.001, from + LENGTH * 2);
  tone.connect(volume).connect(speaker.destination);
  tone.start(from);
  tone.stop(from + LENGTH * 2);
}

function isQuiet(hours) {
  if (!hours) return false;
  const { start, end, time_zone: timeZone } = hours;
  const now = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", timeZone }).format(new Date());
  return start <= end ? start <= now && now < end : start <= now || now < end;
}
