/** Sizes, times and counts as people read them, in the browser's own language. */

const UNITS = ["B", "kB", "MB", "GB", "TB", "PB"] as const;
/** Decimal, as disks and networks are sold. */
const STEP = 1000;

const rounded = new Intl.NumberFormat(undefined, { maximumFractionDigits: 0 });
const fine = new Intl.NumberFormat(undefined, { maximumFractionDigits: 1 });
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const thisYear = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const anyYear = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", year: "numeric" });
const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "medium" });
const plural = new Intl.PluralRules(undefined);

/** "1.4 MB". */
export function sizeText(bytes: number): string {
  const power = bytes < 1 ? 0 : Math.min(UNITS.length - 1, Math.floor(Math.log10(bytes) / 3));
  const value = bytes / STEP ** power;
  return `${(power === 0 || value >= 100 ? rounded : fine).format(value)} ${UNITS[power] ?? "B"}`;
}

/** "14:02" today, "3 Mar" this year, "3 Mar 2024" before. */
export function timeText(time: string, now = new Date()): string {
  const date = new Date(time);
  if (date.toDateString() === now.toDateString()) return clock.format(date);
  return (date.getFullYear() === now.getFullYear() ? thisYear : anyYear).format(date);
}

/** The whole of it, for whoever looks closer. */
export function exactTimeText(time: string): string {
  return exact.format(new Date(time));
}

/** "40 s", "3 min", "2 h 10 min". */
export function durationText(seconds: number): string {
  if (seconds < 60) return `${Math.max(1, Math.round(seconds))} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  return minutes % 60 === 0 ? `${minutes / 60} h` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** "1 file", "1,204 files". */
export function countText(count: number, one: string, many: string): string {
  return `${rounded.format(count)} ${plural.select(count) === "one" ? one : many}`;
}
