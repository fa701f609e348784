/** What others show to this person, as last heard of; asked for only while somebody looks, and of what is unfolded. */

import { type ISignal, Signal } from '@lumino/signaling';

import type { Api } from './api.ts';
import { Refusal } from './refusal.ts';
import type { SharedItem, SharedView } from './sharing.ts';
import { timeout, type Timer } from './timer.ts';

/** Milliseconds between two questions: which there are, and what there is to see of one that is unfolded. */
export const LIST_EACH = 60_000;
export const VIEW_EACH = 3_000;

export type SharedApi = Pick<Api, 'shared' | 'sharedView'>;

export class SharedViews {
  private _api: SharedApi;
  private _timer: Timer;
  private _list: readonly SharedItem[] = [];
  private _views = new Map<string, SharedView>();
  private _problems = new Map<string, string>();
  private _open = new Set<string>();
  private _watched = false;
  private _cancels = new Map<string, () => void>();
  private _changed = new Signal<this, void>(this);

  constructor(api: SharedApi, timer: Timer = timeout) {
    this._api = api;
    this._timer = timer;
  }

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  get list(): readonly SharedItem[] {
    return this._list;
  }

  isOpen(item: SharedItem): boolean {
    return this._open.has(keyOf(item));
  }

  /** What was seen last of an unfolded one, or null. */
  view(item: SharedItem): SharedView | null {
    return this._views.get(keyOf(item)) ?? null;
  }

  /** Why the last question for it was not answered, or null. */
  problem(item: SharedItem): string | null {
    return this._problems.get(keyOf(item)) ?? null;
  }

  /** Says whether somebody sees the panel. */
  watch(seen: boolean): void {
    if (seen === this._watched) {
      return;
    }
    this._watched = seen;
    if (seen) {
      void this._ask('', LIST_EACH, () => this._askList());
      this._list.filter(one => this.isOpen(one)).forEach(one => this._see(one));
    } else {
      this._cancels.forEach(cancel => cancel());
      this._cancels.clear();
    }
  }

  /** Folds one, or unfolds it, which begins to ask for what there is to see. */
  toggle(item: SharedItem): void {
    const key = keyOf(item);
    if (this._open.delete(key)) {
      this._forget(key);
    } else {
      this._open.add(key);
      this._see(item);
    }
    this._changed.emit();
  }

  private _see(item: SharedItem): void {
    void this._ask(keyOf(item), VIEW_EACH, () => this._askView(item));
  }

  /** Asks now and, while it is looked at, again after each answer. */
  private async _ask(
    key: string,
    pause: number,
    ask: () => Promise<void>
  ): Promise<void> {
    this._cancels.get(key)?.();
    let here = true;
    let cancel = () => undefined as void;
    this._cancels.set(key, () => {
      here = false;
      cancel();
    });
    await ask();
    if (here && this._cancels.has(key)) {
      cancel = this._timer(() => void this._ask(key, pause, ask), pause);
    }
  }

  private async _askList(): Promise<void> {
    try {
      const { shared } = await this._api.shared();
      this._list = shared;
      const there = new Set(shared.map(keyOf));
      [...this._open]
        .filter(key => !there.has(key))
        .forEach(key => {
          this._open.delete(key);
          this._forget(key);
        });
    } catch (error) {
      // Where there is no hub, or it is away, nothing is shown to anybody.
      if (!(error instanceof Refusal)) {
        throw error;
      }
      this._list = [];
    }
    this._changed.emit();
  }

  private async _askView(item: SharedItem): Promise<void> {
    const key = keyOf(item);
    try {
      const view = await this._api.sharedView(item.owner, item.cluster);
      if (this._open.has(key)) {
        this._views.set(key, view);
        this._problems.delete(key);
      }
    } catch (error) {
      if (!(error instanceof Refusal)) {
        throw error;
      }
      if (error.status === 404) {
        // It was taken back: nothing of it stays on the screen.
        this._list = this._list.filter(one => keyOf(one) !== key);
        this._open.delete(key);
        this._forget(key);
      } else if (this._open.has(key)) {
        this._problems.set(key, error.message);
      }
    }
    this._changed.emit();
  }

  private _forget(key: string): void {
    this._cancels.get(key)?.();
    this._cancels.delete(key);
    this._views.delete(key);
    this._problems.delete(key);
  }
}

function keyOf(item: SharedItem): string {
  return `${item.owner}/${item.cluster}`;
}
