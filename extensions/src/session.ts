/** The server's own job as last heard of: counts down between events, says when a person is there. */

import type { IDisposable } from '@lumino/disposable';
import { type ISignal, Signal } from '@lumino/signaling';

import type { Api } from './api.ts';
import type { Session as Seen } from './contract.ts';
import { Refusal } from './refusal.ts';

/** Seconds: between two words that a person is there, and between two questions while no event comes. */
const TOUCH_PAUSE = 60;
const ASK_PAUSE = 30;
/** Before the end of the job, in which what is not saved is saved. */
const LAST_SECONDS = 60;

/** The part of the server's API that it needs. */
export type SessionApi = Pick<Api, 'session' | 'keep'>;

export class Session implements IDisposable {
  private _api: SessionApi;
  private _clock: () => number;
  private _seen: Seen | null = null;
  private _heard = 0;
  private _asked = 0;
  private _touched = -Infinity;
  private _isJob = true;
  private _changed = new Signal<this, void>(this);
  private _isDisposed = false;

  /** `clock` gives seconds that never jump: the time of day of a browser may be wrong, or be corrected. */
  constructor(api: SessionApi, clock = () => performance.now() / 1000) {
    this._api = api;
    this._clock = clock;
  }

  /** Something was heard, or a second has passed. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** Null until the first answer, and where the server is no job. */
  get seen(): Seen | null {
    return this._seen;
  }

  /** Seconds until the job ends. */
  get left(): number {
    return this._since(this._seen?.time.left ?? 0);
  }

  /** Seconds until the server ends for want of work; null while nothing of the kind is near. */
  get idleLeft(): number | null {
    const left = this._seen?.idle.left ?? null;
    return left === null ? null : this._since(left);
  }

  /** Seconds since something worked. */
  get quiet(): number {
    return this._seen ? this._seen.idle.quiet + this._age : 0;
  }

  /** Whether the server has ended: it said so, or is silent since its time is over. */
  get hasEnded(): boolean {
    return (
      this._seen !== null &&
      (this._seen.idle.state === 'expired' ||
        (this.left <= 0 && this._age > 2 * this._seen.interval))
    );
  }

  /** Whether what is not saved must be saved now, for the end is near. */
  get isLastMoment(): boolean {
    if (!this._seen) {
      return false;
    }
    const { request, idle } = this._seen;
    const last = Math.min(LAST_SECONDS, Number(request.time) / 8);
    const { idleLeft } = this;
    return this.left <= last || (idleLeft !== null && idleLeft <= idle.final);
  }

  /** Whether the server has been silent for longer than it should be. */
  get isStale(): boolean {
    return this._seen !== null && this._age > 3 * this._seen.interval + 5;
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  dispose(): void {
    this._isDisposed = true;
    Signal.clearData(this);
  }

  /** Takes what an event brought. */
  take(seen: Seen): void {
    this._seen = seen;
    this._heard = this._clock();
    this._changed.emit();
  }

  /** Asks the server; for the first time, and when its events have stopped. */
  async refresh(): Promise<void> {
    this._asked = this._clock();
    try {
      const seen = await this._api.session();
      if (seen.job === null) {
        this._isJob = false;
      } else {
        this.take(seen);
      }
    } catch (error) {
      if (!(error instanceof Refusal)) {
        throw error;
      }
      this._changed.emit();
    }
  }

  /** A second has passed. */
  tick(): void {
    if (
      this._isJob &&
      !this.hasEnded &&
      (this.isStale || this._seen === null) &&
      this._clock() - this._asked > ASK_PAUSE
    ) {
      void this.refresh();
    }
    if (this._seen) {
      this._changed.emit();
    }
  }

  /** A person does something on this page: said at once where the server is about to end, else now and then. */
  async touch(): Promise<void> {
    if (!this._seen || this._seen.idle.state === 'off') {
      return;
    }
    const { after, state } = this._seen.idle;
    const pause = state === 'warned' ? 1 : Math.min(TOUCH_PAUSE, after / 20);
    if (this._clock() - this._touched < pause) {
      return;
    }
    try {
      await this.keep();
    } catch (error) {
      if (!(error instanceof Refusal)) {
        throw error;
      }
      this._touched = -Infinity; // not heard: the next one is said
    }
  }

  /** A person wants the server; throws `Refusal`. */
  async keep(): Promise<void> {
    this._touched = this._clock();
    await this._api.keep();
  }

  private get _age(): number {
    return this._clock() - this._heard;
  }

  private _since(left: number): number {
    return Math.max(0, left - this._age);
  }
}

/**
 * The mark of the warning that is to be given now, or null, and what to remember as `said` for the next time: each
 * warning is given once, and of two only the more pressing one. When the end was put off they begin anew.
 */
export function dueWarning(
  mark: number | null,
  said: number | null
): { due: number | null; said: number | null } {
  const due = mark !== null && (said === null || mark < said) ? mark : null;
  return { due, said: mark };
}
