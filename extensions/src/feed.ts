/** One stream of events, kept open while somebody looks: opened again when it ends, and missed when it cannot be had. */

import { Refusal } from './refusal.ts';
import { timeout, type Timer } from './timer.ts';

/** Milliseconds that a stream may be silent, at first and later: the server says every 15 s that it is there. */
const FIRST_EVENT = 15_000;
const SILENCE = 50_000;
/** Milliseconds between two attempts, the first and the longest; each is up to a quarter longer. */
const FIRST_PAUSE = 1_000;
export const LONGEST_PAUSE = 15_000;

export interface FeedOptions<Event> {
  /** Opens the stream; null is a sign of life. Throws `Refusal`. */
  open(signal: AbortSignal): AsyncIterable<Event | null>;
  /** Something was heard: an event, or a sign of life. */
  hear(event: Event | null): void;
  /** The stream cannot be had, for this reason; null where it gave none. The next attempt waits for the answer. */
  miss(problem: string | null): Promise<void>;
}

export class Feed<Event> {
  private _options: FeedOptions<Event>;
  private _timer: Timer;
  private _opened: AbortController | null = null;
  private _isLive = false;

  constructor(options: FeedOptions<Event>, timer: Timer = timeout) {
    this._options = options;
    this._timer = timer;
  }

  /** Whether events come: what they told is true now. */
  get isLive(): boolean {
    return this._isLive;
  }

  start(): void {
    if (!this._opened) {
      this._opened = new AbortController();
      void this._run(this._opened.signal);
    }
  }

  stop(): void {
    this._opened?.abort();
    this._opened = null;
    this._isLive = false;
  }

  private async _run(stopped: AbortSignal): Promise<void> {
    let pause = FIRST_PAUSE;
    while (!stopped.aborted) {
      const { heard, problem } = await this._listen(stopped);
      if (stopped.aborted) {
        return;
      }
      if (heard) {
        // It ended, as it does when the server is started again: no reason to worry anybody yet.
        pause = FIRST_PAUSE;
      } else {
        await this._options.miss(problem);
      }
      await this._wait(pause * (1 + Math.random() / 4), stopped);
      pause = Math.min(2 * pause, LONGEST_PAUSE);
    }
  }

  /** Reads one stream to its end; returns whether anything came, and what ended it. */
  private async _listen(
    stopped: AbortSignal
  ): Promise<{ heard: boolean; problem: string | null }> {
    const closing = new AbortController();
    const close = () => closing.abort();
    stopped.addEventListener('abort', close);
    let heard = false;
    try {
      const events = this._options.open(closing.signal)[Symbol.asyncIterator]();
      for (;;) {
        const next = await this._within(
          heard ? SILENCE : FIRST_EVENT,
          events.next(),
          closing
        );
        if (next === null || next.done || closing.signal.aborted) {
          return { heard, problem: null };
        }
        heard = this._isLive = true;
        this._options.hear(next.value);
      }
    } catch (error) {
      if (!(error instanceof Refusal)) {
        throw error;
      }
      return { heard, problem: error.message };
    } finally {
      close();
      stopped.removeEventListener('abort', close);
      if (!stopped.aborted) {
        this._isLive = false;
      }
    }
  }

  /** What comes next; null where that takes too long, which closes the stream, or where it is closed. */
  private async _within<T>(
    milliseconds: number,
    next: Promise<T>,
    closing: AbortController
  ): Promise<T | null> {
    let closed = () => undefined as void;
    const silent = new Promise<null>(resolve => {
      closed = () => resolve(null);
      closing.signal.addEventListener('abort', closed);
    });
    const cancel = this._timer(() => closing.abort(), milliseconds);
    try {
      return await Promise.race([next, silent]);
    } finally {
      cancel();
      closing.signal.removeEventListener('abort', closed);
    }
  }

  private _wait(milliseconds: number, stopped: AbortSignal): Promise<void> {
    return new Promise(resolve => {
      const done = () => {
        cancel();
        stopped.removeEventListener('abort', done);
        resolve();
      };
      const cancel = this._timer(done, milliseconds);
      stopped.addEventListener('abort', done);
    });
  }
}
