/** Which idle clusters somebody is to be told of who does not see the panel: each warning once, gone with its reason. */

import type { Cluster } from './contract.ts';

/** A cluster that ends for want of work; `ends` in epoch seconds. */
export interface Warned {
  id: string;
  name: string;
  ends: number;
}

/** Where warnings are put up; `show` returns what `dismiss` takes it down by. */
export interface Board {
  show: (warned: Warned) => string;
  dismiss: (id: string) => void;
}

export class IdleWarnings {
  private _board: Board;
  private _isSeen: () => boolean;
  /** By cluster: the end that was told of. */
  private _told = new Map<string, number>();
  private _shown = new Map<string, string>();

  /** `isSeen` says whether the panel is seen, whose rows tell it then. */
  constructor(board: Board, isSeen: () => boolean) {
    this._board = board;
    this._isSeen = isSeen;
  }

  /** Takes all that are warned of now. */
  take(warned: readonly Warned[]): void {
    const ends = new Map(warned.map(one => [one.id, one.ends]));
    for (const [id, told] of this._told) {
      if (ends.get(id) !== told) {
        this._forget(id);
      }
    }
    for (const one of warned) {
      if (!this._told.has(one.id) && !this._isSeen()) {
        this._told.set(one.id, one.ends);
        this._shown.set(one.id, this._board.show(one));
      }
    }
  }

  /** Takes the panel's list, which is sooner told of what was kept or has ended. */
  see(clusters: readonly Cluster[]): void {
    const known = new Map(clusters.map(one => [one.id, one]));
    for (const id of this._shown.keys()) {
      const { state, idle } = known.get(id) ?? {};
      if (state !== 'running' || !idle?.ends) {
        this._takeDown(id);
      }
    }
  }

  private _forget(id: string): void {
    this._takeDown(id);
    this._told.delete(id);
  }

  private _takeDown(id: string): void {
    const shown = this._shown.get(id);
    if (shown !== undefined) {
      this._shown.delete(id);
      this._board.dismiss(shown);
    }
  }
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
    'ends' in value &&
    typeof value.ends === 'number'
  );
}
