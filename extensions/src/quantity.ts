/** Bytes and seconds in words and back, as the site writes them; powers of 1024, as Slurm counts. */

const SIZES = ['', 'K', 'M', 'G', 'T'];
const SIZE = /^(\d{1,9}(?:\.\d{1,3})?)\s*(?:([KMGT])(?:i?B)?)?$/i;
const SPAN = /^(\d{1,6}(?:\.\d{1,2})?)\s*(s|sec|m|min|h|hours?|d|days?)$/i;
const MIXED = /^(\d{1,6})\s*h\s*(\d{1,2})\s*(?:m|min)$/i;
const CLOCK = /^(?:(\d{1,3})-)?(\d{1,4}):(\d{1,2})(?::(\d{1,2}))?\s*h?$/i;
const SECONDS: Record<string, number> = { s: 1, m: 60, h: 3600, d: 86400 };

/** `4 GB`, `4G`, `512M` or `4` (gigabytes) in bytes; null if it is no size. */
export function parseBytes(text: string): number | null {
  const match = SIZE.exec(text.trim());
  if (!match) {
    return null;
  }
  // The form shows gigabytes, so a bare number is meant as such.
  const power = match[2] ? SIZES.indexOf(match[2].toUpperCase()) : 3;
  return Math.floor(Number(match[1]) * 1024 ** power);
}

/** `2 h`, `1:30 h`, `1 h 30 min`, `90 min`, `1-00:00:00` or `2` (hours) in seconds; null if it is no time. */
export function parseSeconds(text: string): number | null {
  const trimmed = text.trim();
  const clock = CLOCK.exec(trimmed);
  if (clock) {
    const [days, hours, minutes, seconds] = clock
      .slice(1)
      .map(part => Number(part ?? 0));
    return minutes > 59 || seconds > 59
      ? null
      : ((days * 24 + hours) * 60 + minutes) * 60 + seconds;
  }
  const mixed = MIXED.exec(trimmed);
  if (mixed) {
    return Number(mixed[2]) > 59
      ? null
      : Number(mixed[1]) * 3600 + Number(mixed[2]) * 60;
  }
  const span = SPAN.exec(/^[\d.]+$/.test(trimmed) ? `${trimmed} h` : trimmed);
  return span
    ? Math.floor(Number(span[1]) * SECONDS[span[2][0].toLowerCase()])
    : null;
}

/** Bytes for reading, with one decimal at most: `512 MB`, `4 GB`, `1.5 GB`. */
export function showBytes(value: number): string {
  for (let power = 4; power > 0; power--) {
    if (value >= 1024 ** power) {
      const amount = (value / 1024 ** power).toFixed(1).replace(/\.0$/, '');
      return `${amount} ${SIZES[power]}B`;
    }
  }
  return `${value} bytes`;
}

/** Used and all in the unit of the second, which alone carries it: `1.2`, `4 GB`. */
export function showShare(used: number, all: number): [string, string] {
  const right = showBytes(all);
  const power = Math.max(0, SIZES.indexOf(right.slice(-2, -1)));
  return [(used / 1024 ** power).toFixed(1).replace(/\.0$/, ''), right];
}

/** Seconds for reading: `45 s`, `30 min`, `2 h`, `1 h 30 min`, `2 days`. */
export function showSeconds(value: number): string {
  if (value < 60) {
    return `${value} s`;
  }
  if (value < 3600) {
    return `${Math.floor(value / 60)} min`;
  }
  if (value >= 2 * 86400 && value % 86400 === 0) {
    return `${value / 86400} days`;
  }
  const minutes = Math.floor(value / 60);
  const rest = minutes % 60;
  const hours = `${Math.floor(minutes / 60)} h`;
  return rest ? `${hours} ${rest} min` : hours;
}

/** Seconds as a countdown shows them: `1 h 52 min`, `12 min`, and `4:05` in the last five minutes. */
export function showCountdown(value: number): string {
  const whole = Math.max(0, Math.floor(value));
  return whole >= 300
    ? showSeconds(whole - (whole % 60))
    : `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, '0')}`;
}

/** Bytes for an input: the largest unit in which `parseBytes` gives exactly the same number back. */
export function writeBytes(value: number): string {
  for (const power of [4, 3, 2, 1]) {
    const amount = value / 1024 ** power;
    const text = `${amount} ${SIZES[power]}B`;
    if (amount >= 1 && parseBytes(text) === value) {
      return text;
    }
  }
  return `${value / 1024} KB`;
}

/** Seconds for an input: as `showSeconds` where nothing is lost by that, else `h:mm:ss`. */
export function writeSeconds(value: number): string {
  const shown = showSeconds(value);
  if (parseSeconds(shown) === value) {
    return shown;
  }
  const two = (part: number) => String(part).padStart(2, '0');
  const minutes = Math.floor(value / 60);
  return `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(value % 60)}`;
}

/** Seconds from which on a weekday does not say which one. */
const ABOUT_A_WEEK = 6 * 86_400;

/**
 * Epoch seconds as a time of day, with the weekday where it is not today, and the day of the month where that is not
 * within a week: `16:05`, `Tue 16:05`, `Tue, Dec 8, 16:05`.
 */
export function showClock(
  epoch: number,
  now: number,
  languages?: string
): string {
  const then = new Date(epoch * 1000);
  const today = then.toDateString() === new Date(now * 1000).toDateString();
  return new Intl.DateTimeFormat(languages, {
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
    ...(today ? {} : { weekday: 'short' }),
    ...(Math.abs(epoch - now) < ABOUT_A_WEEK
      ? {}
      : { day: 'numeric', month: 'short' })
  }).format(then);
}
