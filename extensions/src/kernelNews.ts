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

/** What to tell; of what had ended before the first list nothing. */
export function newsOf(
  before: readonly JobKernel[] | null,
  after: readonly JobKernel[]
): News[] {
  const known = new Map(before?.map(one => [one.id, one]));
  return after.flatMap(kernel => {
    const what = newsOfOne(known.get(kernel.id), kernel, before === null);
    return what ? [{ what, kernel }] : [];
  });
}

function newsOfOne(
  old: JobKernel | undefined,
  kernel: JobKernel,
  isFirst: boolean
): News['what'] | null {
  if (kernel.state === 'ended') {
    return isFirst || old?.state === 'ended' ? null : 'ended';
  }
  if (!isFirst && kernel.death && old?.death?.at !== kernel.death.at) {
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
