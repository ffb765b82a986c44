// Numbers, times and sizes as people read them, in the page's language.
import { language, numeral } from "../texts";

const two = (n: number) => String(n).padStart(2, "0");

export const number = numeral;

export function size(bytes: number): string {
  for (const [unit, scale] of [["GB", 1e9], ["MB", 1e6], ["kB", 1e3]] as const)
    if (bytes >= scale) return `${number(bytes / scale, bytes < 10 * scale ? 1 : 0)} ${unit}`;
  return `${number(bytes)} B`;
}

export function duration(seconds: number): string {
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 100) return `${number(seconds)} s`;
  if (seconds < 5400) return `${number(seconds / 60)} min`;
  if (seconds < 172_800) return `${number(seconds / 3600)} h`;
  return `${number(seconds / 86_400)} d`;
}

// 14:03:27.512 today, with the date on other days.
export function time(ms: number, now = Date.now()): string {
  const at = new Date(ms);
  const clock = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}.${String(at.getMilliseconds()).padStart(3, "0")}`;
  return new Date(now).toDateString() === at.toDateString() ? clock : `${day(ms)} ${clock.slice(0, 8)}`;
}

// For an axis: hours and minutes, seconds where they matter, the day where that begins.
export function tick(ms: number, every: number): string {
  const at = new Date(ms);
  const minutes = `${two(at.getHours())}:${two(at.getMinutes())}`;
  if (every < 60_000) return `${minutes}:${two(at.getSeconds())}`;
  if (every < 86_400_000 && minutes !== "00:00") return minutes;
  return at.toLocaleDateString(language, { day: "numeric", month: "short" });
}

export function day(ms: number): string {
  const at = new Date(ms);
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
}

export const utc = (ms: number) => new Date(ms).toISOString().replace("T", " ").replace("Z", " UTC");

export function value(given: unknown): string {
  if (typeof given === "number") return Number.isInteger(given) ? String(given) : String(Math.round(given * 1e6) / 1e6);
  return typeof given === "string" ? given : JSON.stringify(given);
}
