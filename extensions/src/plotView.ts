/** One plot on its way to the screen: asked for, loading, shown, lost and found again, or over; plotPane.ts shows it. */

import type { IDisposable } from '@lumino/disposable';
import { type ISignal, Signal } from '@lumino/signaling';

import { Refusal } from './refusal.ts';
import { timeout, type Timer } from './timer.ts';
import type { Words } from './words.ts';

/** How long a page may take to draw itself, and between two tries to find a cluster again, in milliseconds. */
const DRAW_TIMEOUT = 30_000;
const FIRST_PAUSE = 1_000;
const LONGEST_PAUSE = 30_000;

/** Statuses of a cluster that does not run, or is not there: asking again would not help. */
const OVER = [404, 409];

export type PlotPhase = 'asking' | 'loading' | 'shown' | 'failed';

export class PlotView implements IDisposable {
  private _ask: () => Promise<string>;
  private _trans: Words;
  private _timer: Timer;
  private _phase: PlotPhase = 'asking';
  private _url: string | null = null;
  private _problem: string | null = null;
  private _isOver = false;
  private _isSeen = false;
  private _number = 0;
  private _pause = FIRST_PAUSE;
  private _cancel: (() => void) | null = null;
  private _changed = new Signal<this, void>(this);
  private _isDisposed = false;

  /** `ask` says where the plot can be seen now, or throws a `Refusal`. */
  constructor(
    ask: () => Promise<string>,
    trans: Words,
    timer: Timer = timeout
  ) {
    this._ask = ask;
    this._trans = trans;
    this._timer = timer;
  }

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  get phase(): PlotPhase {
    return this._phase;
  }

  /** The page to load, or null before there is one. */
  get url(): string | null {
    return this._url;
  }

  /** Counts the pages: the same address may have to be loaded again. */
  get number(): number {
    return this._number;
  }

  /** Why there is nothing to see, in a sentence; null while there is, or will be in a moment. */
  get problem(): string | null {
    return this._problem;
  }

  /** Whether the cluster is over, so that nothing will be seen again. */
  get isOver(): boolean {
    return this._isOver;
  }

  /**
   * Whether somebody looks. Browsers draw nothing that nobody sees, so a page is loaded, waited for and looked for again
   * only then.
   */
  get isSeen(): boolean {
    return this._isSeen;
  }

  set isSeen(seen: boolean) {
    if (seen === this._isSeen) {
      return;
    }
    this._isSeen = seen;
    if (!seen) {
      this._stopWaiting();
    } else if (this._phase !== 'shown' && !this._isOver) {
      void this.open();
    }
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  dispose(): void {
    this._isDisposed = true;
    this._stopWaiting();
    Signal.clearData(this);
  }

  /** Asks where the plot is now, and has it loaded from there; as soon as somebody looks. */
  async open(): Promise<void> {
    if (this._isDisposed) {
      return;
    }
    this._stopWaiting();
    const number = ++this._number;
    this._phase = 'asking';
    this._isOver = false;
    this._changed.emit();
    if (!this._isSeen) {
      return;
    }
    try {
      const url = await this._ask();
      if (this._isCurrent(number)) {
        this._url = url;
        this._phase = 'loading';
        this._problem = null;
        this._changed.emit();
        this._wait(
          () =>
            this._fail(this._trans.__('The plot does not draw itself.'), false),
          DRAW_TIMEOUT
        );
      }
    } catch (error) {
      if (!(error instanceof Refusal)) {
        throw error;
      }
      if (this._isCurrent(number)) {
        this._fail(error.message, OVER.includes(error.status ?? 0));
      }
    }
  }

  /** The page says that it has drawn itself. */
  ready(): void {
    if (this._phase === 'loading') {
      this._stopWaiting();
      this._phase = 'shown';
      this._pause = FIRST_PAUSE;
      this._changed.emit();
    }
  }

  /** The page says that it hears nothing from its cluster any more. */
  lost(): void {
    if (this._phase === 'shown') {
      this._phase = 'asking';
      // A cluster that ends needs a moment before it can be said why.
      this._wait(() => void this.open(), FIRST_PAUSE);
      this._changed.emit();
    }
  }

  /** Draws it anew, in other colours. */
  redraw(): void {
    if (this._phase === 'shown' || this._phase === 'loading') {
      void this.open();
    }
  }

  /** The cluster is known to have ended. */
  end(sentence: string): void {
    if (!this._isOver) {
      this._number++;
      this._fail(sentence, true);
    }
  }

  private _isCurrent(number: number): boolean {
    return !this._isDisposed && number === this._number;
  }

  private _fail(sentence: string, isOver: boolean): void {
    this._stopWaiting();
    this._phase = 'failed';
    this._url = null;
    this._problem = sentence;
    this._isOver = isOver;
    if (!isOver) {
      this._wait(() => void this.open(), this._pause);
      this._pause = Math.min(2 * this._pause, LONGEST_PAUSE);
    }
    this._changed.emit();
  }

  private _wait(callback: () => void, milliseconds: number): void {
    if (this._isSeen) {
      this._cancel = this._timer(callback, milliseconds);
    }
  }

  private _stopWaiting(): void {
    this._cancel?.();
    this._cancel = null;
  }
}
