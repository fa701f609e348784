/** What Lab says about the server's own job: its time left, what it uses, and that nothing works in it. */

import type { Gpu, Session, Use } from './contract.ts';
import {
  showBytes,
  showCountdown,
  showSeconds,
  showShare
} from './quantity.ts';
import type { Saved } from './saveAll.ts';
import type { Words } from './words.ts';

/** Shares from which on memory and home are shown as a warning. */
const HIGH = 0.9;
const LITTLE_HOME = 1024 ** 3;

export function timeLeftWords(left: number, trans: Words): string {
  return trans.__('%1 left', showCountdown(left));
}

/** The warning before the end of the job; `at` is the time of day. */
export function endWarning(left: number, at: string, trans: Words): string {
  return trans.__(
    '%1 left: JupyterLab ends at %2, with all that only its kernels hold. Saved files stay.',
    showSeconds(roundUp(left)),
    at
  );
}

export function memoryIsHigh(use: Use): boolean {
  return use.memory >= HIGH * use.memory_limit;
}

export function homeIsFull(use: Use): boolean {
  return use.home_free !== null && use.home_free < LITTLE_HOME;
}

/** The short forms for the status bar. */
export function cpuShort(use: Use, trans: Words): string | null {
  return use.cpu === null
    ? null
    : trans.__('CPU %1/%2', use.cpu.toFixed(1), use.cpu_limit);
}

export function memoryShort(use: Use, trans: Words): string {
  return trans.__('Memory %1/%2', ...showShare(use.memory, use.memory_limit));
}

export function gpuShort(use: Use, trans: Words): string | null {
  const busy = use.gpus.flatMap(gpu => (gpu.busy === null ? [] : [gpu.busy]));
  if (busy.length === 0) {
    return null;
  }
  const mean = busy.reduce((sum, one) => sum + one) / busy.length;
  return trans.__('GPU %1 %', Math.round(100 * mean));
}

export function cpuLine(use: Use, trans: Words): string {
  return use.cpu === null
    ? trans.__('not known yet')
    : trans._n(
        '%2 of %1 core',
        '%2 of %1 cores',
        use.cpu_limit,
        use.cpu.toFixed(1)
      );
}

/** Memory against what the job was given, and near that, what happens above it. */
export function memoryLine(
  use: Use,
  ends: Session['memory_ends'],
  trans: Words
): string {
  const share = showShare(use.memory, use.memory_limit);
  if (!memoryIsHigh(use)) {
    return trans.__('%1 of %2', ...share);
  }
  return ends === 'kernel'
    ? trans.__('%1 of %2; above it the kernel is killed', ...share)
    : trans.__('%1 of %2; above it this server is ended', ...share);
}

export function gpuLine(gpu: Gpu, trans: Words): string {
  const memory = showShare(gpu.memory, gpu.memory_limit);
  return gpu.busy === null
    ? trans.__('%1 of %2', ...memory)
    : trans.__('%1 % busy, %2 of %3', Math.round(100 * gpu.busy), ...memory);
}

export function homeLine(use: Use, trans: Words): string {
  return trans.__('%1 free', showBytes(use.home_free ?? 0));
}

/** What the job holds that others may wait for. */
function freed(session: Session, trans: Words): string {
  const gpus = Number(session.request.gpus ?? 0);
  return gpus
    ? trans._n('to free its GPU', 'to free its %1 GPUs', gpus)
    : trans.__('to free its place for others');
}

/** That the server ends soon, for nothing works in it. `quiet` and `left` in seconds. */
export function idleWarning(
  session: Session,
  quiet: number,
  left: number,
  trans: Words
): string {
  return trans.__(
    'Nothing has run for %1. This server ends in %2 %3.',
    showSeconds(roundDown(quiet)),
    countdownBySecond(left),
    freed(session, trans)
  );
}

export function idleEnded(session: Session, trans: Words): string {
  return trans.__(
    'This server ended after %1 without work, %2. Saved files are safe.',
    showSeconds(Math.floor(session.idle.after)),
    freed(session, trans)
  );
}

export function timeEnded(session: Session, trans: Words): string {
  return trans.__(
    'This server has reached its time limit of %1. Saved files are safe.',
    showSeconds(Number(session.request.time))
  );
}

/** The idle rule, for who wants to know before it warns. */
export function idleRule(session: Session, trans: Words): string | null {
  const { state, after } = session.idle;
  return state === 'off'
    ? null
    : trans.__(
        'Ends after %1 in which nothing runs and nobody does anything.',
        showSeconds(Math.floor(after))
      );
}

export function savedWords(saved: Saved, trans: Words): string {
  const parts = [];
  if (saved.saved.length) {
    parts.push(
      trans._n('Saved %1 document.', 'Saved %1 documents.', saved.saved.length)
    );
  }
  for (const { path, why } of saved.failed) {
    parts.push(
      trans.__('Not saved: %1 (%2).', path, why ?? trans.__('read-only'))
    );
  }
  return parts.join(' ') || trans.__('Everything was saved already.');
}

/** `9:58`, `0:07`: seconds are shown however much is left. */
export function countdownBySecond(left: number): string {
  const whole = Math.max(0, Math.ceil(left));
  return whole >= 3600
    ? showCountdown(whole)
    : `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, '0')}`;
}

/** The same upwards: a warning for 15 minutes is not one for 14. */
function roundUp(seconds: number): number {
  return seconds > 60 ? Math.ceil(seconds / 60) * 60 : Math.ceil(seconds);
}

/** To the minute, from a minute on. */
function roundDown(seconds: number): number {
  const whole = Math.floor(seconds);
  return whole < 60 ? whole : whole - (whole % 60);
}
