/** What Lab says about kernels that are jobs: in a notebook's toolbar, in the panel, and when one ends. */

import { hours } from './figureWords.ts';
import type { GpuSeconds, GpuTime, JobKernel } from './kernelContract.ts';
import { PathExt } from '@jupyterlab/coreutils';
import { stateLine, timeLeft, type Words } from './words.ts';

type Clock = (time: number) => string;

/** Shares of the GPU time: below the one nothing is known of it, above the other it is said what is not. */
const LITTLE = 0.01;
const MUCH = 0.1;

/** What the toolbar says of a kernel, in one line. `now` in epoch seconds of the server's clock. */
export function toolbarLine(
  kernel: JobKernel,
  now: number,
  trans: Words,
  clock: Clock
): string {
  switch (kernel.state) {
    case 'submitted':
    case 'pending':
      return [
        stateLine(kernel, trans),
        ...(typeof kernel.place === 'number'
          ? [trans.__('place %1', kernel.place)]
          : []),
        ...(typeof kernel.expected === 'number'
          ? [trans.__('about %1', clock(kernel.expected))]
          : [])
      ].join(' · ');
    case 'running': {
      const trouble =
        silentLine(kernel, trans, clock) ??
        endingLine(kernel, trans) ??
        idleShort(kernel, trans, clock);
      const left = timeLeft(kernel, now, trans);
      return trouble ?? [kernel.node, left].filter(Boolean).join(' · ');
    }
    default:
      return stateLine(kernel, trans);
  }
}

/** The same without what changes as time goes by: what is read out when it is another one. */
export function spokenLine(
  kernel: JobKernel,
  trans: Words,
  clock: Clock
): string {
  return kernel.state === 'running'
    ? (silentLine(kernel, trans, clock) ??
        endingLine(kernel, trans) ??
        idleShort(kernel, trans, clock) ??
        stateLine(kernel, trans))
    : stateLine(kernel, trans);
}

/** That its node does not answer, or null. */
export function silentLine(
  kernel: JobKernel,
  trans: Words,
  clock: Clock
): string | null {
  return kernel.state === 'running' && kernel.silent_since !== null
    ? trans.__(
        '%1 does not answer since %2',
        kernel.node,
        clock(kernel.silent_since)
      )
    : null;
}

/** That it is being ended, and what the function does that runs before; or null. */
export function endingLine(kernel: JobKernel, trans: Words): string | null {
  if (kernel.state !== 'running' || kernel.ending === null) {
    return null;
  }
  const { hook } = kernel;
  const line =
    kernel.ending === 'idle'
      ? trans.__('Ends now, for it computes nothing')
      : trans.__('Ends now, for its time is over');
  return hook?.text ? trans.__('%1: %2', line, hook.text) : line;
}

/** That it is about to end for want of work, for a narrow place; or null. */
export function idleShort(
  kernel: JobKernel,
  trans: Words,
  clock: Clock
): string | null {
  return isIdleWarned(kernel)
    ? trans.__('Computes nothing, ends at %1', clock(kernel.idle.ends))
    : null;
}

/** The same where there is room; or null. */
export function idleSentence(
  kernel: JobKernel,
  trans: Words,
  clock: Clock
): string | null {
  return isIdleWarned(kernel)
    ? trans.__(
        'It computes nothing, and ends at %1 unless it does. Its variables are lost then.',
        clock(kernel.idle.ends)
      )
    : null;
}

/** Whether it is about to end for want of work. */
export function isIdleWarned(
  kernel: JobKernel
): kernel is JobKernel & { idle: { ends: number } } {
  return kernel.state === 'running' && typeof kernel.idle?.ends === 'number';
}

/** What a kernel is called: its notebook, else its environment. */
export function kernelName(kernel: JobKernel): string {
  return kernel.path === null ? kernel.label : PathExt.basename(kernel.path);
}

/** Why the kernel of a notebook has ended, in a sentence. */
export function endedSentence(kernel: JobKernel, trans: Words): string {
  return trans.__(
    'The kernel of %1 has ended. %2',
    kernelName(kernel),
    causeSentence(kernel, trans)
  );
}

/** Why a kernel died that was started again, in sentences. */
export function diedSentence(kernel: JobKernel, trans: Words): string {
  return trans.__(
    'The kernel of %1 %2. Another one was started in the same job; the variables are lost.',
    kernelName(kernel),
    kernel.death?.cause ?? ''
  );
}

/** Why it has ended, below the cell that it was computing. */
export function causeSentence(kernel: JobKernel, trans: Words): string {
  const line = stateLine(kernel, trans);
  return /[.!?]$/.test(line) ? line : trans.__('%1.', line);
}

/** The warning before the end of its time; `at` is a time of day. */
export function timeSentence(
  kernel: JobKernel,
  at: string,
  trans: Words
): string {
  return trans.__(
    'The kernel of %1 reaches its time limit at %2. Its variables are lost then.',
    kernelName(kernel),
    at
  );
}

/** The same where it ends for want of work. */
export function idleWarned(
  kernel: JobKernel,
  at: string,
  trans: Words
): string {
  return trans.__(
    'The kernel of %1 computes nothing, and ends at %2 unless it does. Its variables are lost then.',
    kernelName(kernel),
    at
  );
}

/** What the job held and how much of that it used: `Held 1.5 GPU-hours, used 12 %`; null without a GPU. */
export function heldLine(kernel: JobKernel, trans: Words): string | null {
  const { gpu_seconds } = kernel;
  return gpu_seconds && gpu_seconds.held > 0
    ? trans.__(
        'Held %1 GPU-hours, %2',
        hours(gpu_seconds.held, 2, trans),
        usedWords(gpu_seconds, trans)
      )
    : null;
}

/** The same of a month's jobs: all together, then by project where there are several. */
export function gpuTimeLines(time: GpuTime, trans: Words): string[] {
  const projects = time.projects.filter(one => one.held > 0);
  const sum = (of: (one: GpuSeconds) => number) =>
    projects.reduce((all, one) => all + of(one), 0);
  const all = {
    held: sum(one => one.held),
    used: sum(one => one.used),
    unknown: sum(one => one.unknown ?? 0)
  };
  if (all.held <= 0) {
    return [];
  }
  const line = trans.__(
    'This month: held %1 GPU-hours, %2',
    hours(all.held, 2, trans),
    usedWords(all, trans)
  );
  return projects.length < 2
    ? [line]
    : [
        line,
        ...projects.map(one =>
          trans.__(
            '%1: held %2, %3',
            one.project || trans.__('no project'),
            hours(one.held, 2, trans),
            usedWords(one, trans)
          )
        )
      ];
}

/** How much of what was held was used: a share of that of which it is known. */
function usedWords(time: GpuSeconds, trans: Words): string {
  const { held, used, unknown = 0 } = time;
  const known = held - unknown;
  if (known < LITTLE * held) {
    return trans.__('how much of that was used is not known');
  }
  const share = Math.round((100 * used) / known);
  return unknown < MUCH * held
    ? trans.__('used %1 %', share)
    : trans.__(
        'used %1 % of the %2 of which that is known',
        share,
        hours(known, 2, trans)
      );
}

/** What to read out to who does not see the panel: kernels whose state is another one. */
export function kernelAnnouncement(
  before: readonly JobKernel[] | null,
  after: readonly JobKernel[] | null,
  trans: Words
): string {
  const known = new Map(before?.map(one => [one.id, one.state]));
  return ((before && after) ?? [])
    .filter(one => known.get(one.id) !== one.state)
    .map(one => trans.__('%1: %2', kernelName(one), stateLine(one, trans)))
    .join('. ');
}
