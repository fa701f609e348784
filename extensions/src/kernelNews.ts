/** What is news between two lists of kernels that are jobs: that one ended, or is about to; kernelEnds.ts tells of it. */

import type { JobKernel } from './kernelContract.ts';
import { isIdleWarned } from './kernelWords.ts';

/**
 * An end that came, a kernel that died and was started again, an end that comes now, or one that comes later for want of
 * time or of work.
 */
export interface News {
  what: 'ended' | 'died' | 'ending' | 'time' | 'idle';
  kernel: JobKernel;
}

/** Of each list what was not told before; of what had ended before the first one nothing. */
export class KernelNews {
  private _before: Map<string, JobKernel> | null = null;
  /** Since when each is known, and the last death that is: a Lab that looks for its node again says of none. */
  private _known = new Map<string, { since: number; death?: number }>();

  /** `now` in epoch seconds of the server's clock. */
  of(list: readonly JobKernel[], now: number): News[] {
    const before = this._before;
    this._before = new Map(list.map(one => [one.id, one]));
    return list.flatMap(kernel => {
      const hasDied = this._hasDied(kernel, now);
      const old = before?.get(kernel.id);
      const what = newsOfOne(old, kernel, before === null, hasDied);
      return what ? [{ what, kernel }] : [];
    });
  }

  private _hasDied({ id, death }: JobKernel, now: number): boolean {
    const known = this._known.get(id);
    if (!known) {
      this._known.set(id, { since: now, death: death?.at });
      return false;
    }
    if (!death || death.at === known.death) {
      return false;
    }
    known.death = death.at;
    return death.at > known.since;
  }
}

function newsOfOne(
  old: JobKernel | undefined,
  kernel: JobKernel,
  isFirst: boolean,
  hasDied: boolean
): News['what'] | null {
  if (kernel.state === 'ended') {
    return isFirst || old?.state === 'ended' ? null : 'ended';
  }
  if (hasDied) {
    return 'died';
  }
  if (kernel.ending !== null) {
    return old?.ending === kernel.ending ? null : 'ending';
  }
  const mark = kernel.warning;
  if (mark !== null && mark < (old?.warning ?? Infinity)) {
    return 'time';
  }
  return isIdleWarned(kernel) && old?.idle?.ends !== kernel.idle.ends
    ? 'idle'
    : null;
}
