/**
 * What stands in Lab of kernels that are about to end: one warning for each, gone with its reason. kernelEnds.ts says
 * what is warned of.
 */

import type { JobKernel } from './kernelContract.ts';
import { isIdleWarned } from './kernelWords.ts';

/** Where warnings are put up; `show` returns what the others know it by. One that a person closed is no trouble. */
export interface Board {
  show: (text: string, kept?: JobKernel) => string;
  change: (id: string, text: string) => void;
  dismiss: (id: string) => void;
}

interface Warning {
  isOfIdle: boolean;
  shown: string;
}

export class KernelWarnings {
  private _board: Board;
  private _standing = new Map<string, Warning>();

  constructor(board: Board) {
    this._board = board;
  }

  /** Takes down what is true no more. */
  see(list: readonly JobKernel[]): void {
    const known = new Map(list.map(one => [one.id, one]));
    for (const [id, { isOfIdle }] of this._standing) {
      const kernel = known.get(id);
      if (
        !kernel ||
        kernel.state === 'ended' ||
        (isOfIdle && !isIdleWarned(kernel))
      ) {
        this._takeDown(id);
      }
    }
  }

  /** Warns of one that ends for want of work, with a way to keep it. */
  idle(kernel: JobKernel, text: string): void {
    this._putUp(kernel, true, this._board.show(text, kernel));
  }

  /** Warns of one that ends in any case; what `then` comes to is added when it is there, which may be after the end. */
  async end(
    kernel: JobKernel,
    text: string,
    then: () => Promise<string>
  ): Promise<void> {
    const shown = this._board.show(text);
    this._putUp(kernel, false, shown);
    const more = await then();
    if (more && this._standing.get(kernel.id)?.shown === shown) {
      this._board.change(shown, `${text} ${more}`);
    }
  }

  private _putUp({ id }: JobKernel, isOfIdle: boolean, shown: string): void {
    this._takeDown(id);
    this._standing.set(id, { isOfIdle, shown });
  }

  private _takeDown(id: string): void {
    const warning = this._standing.get(id);
    if (warning) {
      this._board.dismiss(warning.shown);
      this._standing.delete(id);
    }
  }
}
