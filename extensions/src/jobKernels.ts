/** The kernels that are jobs, as last heard of: by the server's events, and asked for where these may have been missed. */

import type { IDisposable } from '@lumino/disposable';
import { type ISignal, Signal } from '@lumino/signaling';

import type { Api } from './api.ts';
import type {
  JobKernel,
  JobKernelList,
  KernelStart
} from './kernelContract.ts';
import { Refusal } from './refusal.ts';

/** The part of the server's API that it needs. */
export type KernelApi = Pick<
  Api,
  'jobKernels' | 'startKernel' | 'keepKernel' | 'stopKernel' | 'removeKernel'
>;

/**
 * Seconds without a word after which it is asked: while one lives, or the last look failed. Lab does not say whether
 * its websocket of events was cut meanwhile.
 */
const SILENCE = 20;

export class JobKernels implements IDisposable {
  private _api: KernelApi;
  private _clock: () => number;
  private _heard: JobKernel[] | null = null;
  private _heardTo = -Infinity;
  /** What orders were answered that is not heard yet. */
  private _answered = new Map<string, JobKernel>();
  private _problem: string | null = null;
  private _ahead = 0;
  private _last = -Infinity;
  private _orders = 0;
  private _going = new Set<string>();
  private _endedHere = new Set<string>();
  private _refusals = new Map<string, string>();
  private _changed = new Signal<this, void>(this);
  private _isDisposed = false;

  /** `clock` gives seconds that never jump. */
  constructor(api: KernelApi, clock = () => performance.now() / 1000) {
    this._api = api;
    this._clock = clock;
  }

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** Newest first; null until the first answer. */
  get list(): readonly JobKernel[] | null {
    if (!this._answered.size) {
      return this._heard;
    }
    const heard = this._heard ?? [];
    const known = new Set(heard.map(one => one.id));
    const started = [...this._answered.values()].filter(
      one => !known.has(one.id)
    );
    return [
      ...started.reverse(),
      ...heard.map(one => this._answered.get(one.id) ?? one)
    ];
  }

  /** Why the last look failed, or null when the list is current. */
  get problem(): string | null {
    return this._problem;
  }

  /** The server's clock now, in epoch seconds: time left must not depend on the browser's clock. */
  get now(): number {
    return Date.now() / 1000 + this._ahead;
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  dispose(): void {
    this._isDisposed = true;
    Signal.clearData(this);
  }

  find(id: string | undefined): JobKernel | null {
    return this.list?.find(one => one.id === id) ?? null;
  }

  /** Whether it was ordered to end, or to go from the list, and has not yet. */
  isGoing(id: string): boolean {
    return this._going.has(id);
  }

  /** Whether it was ordered to end in this page, so that its end is no news. */
  wasEndedHere(id: string): boolean {
    return this._endedHere.has(id);
  }

  /** Why the last order for this kernel was refused, or null. */
  refusal(id: string): string | null {
    return this._refusals.get(id) ?? null;
  }

  /** Puts a sentence beside a kernel, or takes it away. */
  setRefusal(id: string, message: string | null): void {
    if (message === null) {
      this._refusals.delete(id);
    } else {
      this._refusals.set(id, message);
    }
    this._changed.emit();
  }

  /** Takes what an event brought; one that is overtaken by an answer tells an old story. */
  take({ kernels, server_time }: JobKernelList): void {
    if (server_time < this._heardTo) {
      return;
    }
    for (const { id } of kernels) {
      this._answered.delete(id);
    }
    this._hear(kernels, server_time);
  }

  /** Resolves when the list is current, or the failure is noted in `problem`. */
  async refresh(): Promise<void> {
    const orders = this._orders;
    const heardTo = this._heardTo;
    this._last = this._clock();
    try {
      const { kernels, server_time } = await this._api.jobKernels();
      // A look that began before an order was carried out tells an old story, as does one that an event overtook.
      if (
        orders === this._orders &&
        (heardTo === this._heardTo || server_time >= this._heardTo)
      ) {
        this._answered.clear();
        this._hear(kernels, server_time);
      }
    } catch (error) {
      if (!(error instanceof Refusal)) {
        throw error;
      }
      this._problem = error.message;
      this._changed.emit();
    }
  }

  /** Some time has passed: asks where events may have been missed, and has time left told anew. */
  tick(): void {
    const lives = this.list?.some(one => one.state !== 'ended') ?? true;
    if (
      (lives || this._problem !== null) &&
      this._clock() - this._last > SILENCE
    ) {
      void this.refresh();
    } else if (lives) {
      this._changed.emit();
    }
  }

  /** Starts a kernel; throws `Refusal`. */
  async start(start: KernelStart): Promise<JobKernel> {
    const kernel = await this._order(() => this._api.startKernel(start));
    this._put(kernel);
    return kernel;
  }

  /** Lets a kernel live that computes nothing. */
  async keep({ id }: Pick<JobKernel, 'id'>): Promise<void> {
    this.setRefusal(id, null);
    try {
      this._put(await this._order(() => this._api.keepKernel(id)));
    } catch (error) {
      this._note(id, error);
    }
  }

  /** Cancels one that waits, ends one that runs; one that has ended meanwhile stays, and says so. */
  stop({ id }: Pick<JobKernel, 'id'>): Promise<void> {
    return this._end(id, () => this._api.stopKernel(id));
  }

  /** Takes one that has ended off the list. */
  remove({ id }: Pick<JobKernel, 'id'>): Promise<void> {
    return this._end(id, () => this._api.removeKernel(id));
  }

  private async _end(id: string, order: () => Promise<void>): Promise<void> {
    this._going.add(id);
    this._endedHere.add(id);
    this.setRefusal(id, null);
    try {
      await this._order(order);
      this._answered.delete(id);
    } catch (error) {
      this._going.delete(id);
      this._endedHere.delete(id);
      this._note(id, error);
    }
    await this.refresh();
  }

  private _note(id: string, error: unknown): void {
    if (!(error instanceof Refusal)) {
      throw error;
    }
    this.setRefusal(id, error.message);
  }

  private async _order<T>(order: () => Promise<T>): Promise<T> {
    try {
      return await order();
    } finally {
      this._orders++;
    }
  }

  private _put(kernel: JobKernel): void {
    this._answered.set(kernel.id, kernel);
    this._changed.emit();
    // An event may have told more of it before the answer came.
    void this.refresh();
  }

  private _hear(kernels: JobKernel[], time: number): void {
    this._heard = kernels;
    this._heardTo = time;
    this._ahead = time - Date.now() / 1000;
    this._last = this._clock();
    this._problem = null;
    this._forget();
    this._changed.emit();
  }

  /** Drops what was kept about kernels that are gone, and marks of an end that has come. */
  private _forget(): void {
    const states = new Map(this.list?.map(one => [one.id, one.state]));
    for (const id of this._going) {
      if ((states.get(id) ?? 'ended') === 'ended') {
        this._going.delete(id);
      }
    }
    for (const id of this._refusals.keys()) {
      if (!states.has(id)) {
        this._refusals.delete(id);
      }
    }
  }
}
