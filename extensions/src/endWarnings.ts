/** Which clusters that end soon somebody is to be told of: each warning once, gone with its reason. */

import type { Cluster } from './contract.ts';

/** A cluster that ends for want of work, or for its time; `ends` in epoch seconds. */
export interface Warned {
  id: string;
  name: string;
  why: 'idle' | 'time';
  ends: number;
  /** The last mark passed, in seconds before its time is up; 0 for one that is idle. */
  mark: number;
}

/** Where warnings are put up; `show` returns what `dismiss` takes it down by. */
export interface Board {
  show: (warned: Warned) => string;
  dismiss: (id: string) => void;
}

interface Told extends Warned {
  /** What takes it down; null once that was done. */
  shown: string | null;
}

export class EndWarnings {
  private _board: Board;
  private _isSeen: () => boolean;
  private _told = new Map<string, Told>();

  /** `isSeen` says whether the panel is seen, whose rows say then that a cluster is idle. */
  constructor(board: Board, isSeen: () => boolean) {
    this._board = board;
    this._isSeen = isSeen;
  }

  /** Takes all that are warned of now. */
  take(warned: readonly Warned[]): void {
    const now = new Map(warned.map(one => [keyOf(one), one]));
    for (const [key, told] of this._told) {
      if (!isSame(told, now.get(key))) {
        this._takeDown(told);
        this._told.delete(key);
      }
    }
    for (const [key, one] of now) {
      // That its time is up soon a row says with a small number only.
      if (!this._told.has(key) && !(one.why === 'idle' && this._isSeen())) {
        this._told.set(key, { ...one, shown: this._board.show(one) });
      }
    }
  }

  /** Takes the panel's list, which is sooner told of what was kept or has ended. */
  see(clusters: readonly Cluster[]): void {
    const known = new Map(clusters.map(one => [one.id, one]));
    for (const told of this._told.values()) {
      const { state, idle } = known.get(told.id) ?? {};
      if (state !== 'running' || (told.why === 'idle' && !idle?.ends)) {
        this._takeDown(told);
      }
    }
  }

  private _takeDown(told: Told): void {
    if (told.shown !== null) {
      this._board.dismiss(told.shown);
      told.shown = null;
    }
  }
}

function keyOf({ id, why }: Warned): string {
  return `${why} ${id}`;
}

/** Whether two warnings of a cluster are one: of an idle one's end, or of one mark of its time. */
function isSame(one: Warned, other: Warned | undefined): boolean {
  return one.why === 'idle'
    ? one.ends === other?.ends
    : one.mark === other?.mark;
}

/** What an event of the server's tells; what is no such cluster is left out. */
export function readWarned(event: Record<string, unknown>): Warned[] {
  const { clusters } = event;
  return Array.isArray(clusters) ? clusters.filter(isWarned) : [];
}

function isWarned(value: unknown): value is Warned {
  return (
    typeof value === 'object' &&
    value !== null &&
    'id' in value &&
    typeof value.id === 'string' &&
    'name' in value &&
    typeof value.name === 'string' &&
    'why' in value &&
    (value.why === 'idle' || value.why === 'time') &&
    'ends' in value &&
    typeof value.ends === 'number' &&
    'mark' in value &&
    typeof value.mark === 'number'
  );
}
