/** The clusters as last heard of: polls while somebody looks, carries out orders, and says when news is old. */

import type { IDisposable } from '@lumino/disposable';
import { Poll } from '@lumino/polling';
import { type ISignal, Signal } from '@lumino/signaling';

import type { Api } from './api.ts';
import type { Cluster, Range, Start } from './contract.ts';
import { Refusal } from './refusal.ts';

/** Milliseconds between two looks, and the most that failures stretch it to. */
const INTERVAL = 2_000;
const MAX_INTERVAL = 30_000;

/** The part of the server's API that the list needs. */
export type ClusterApi = Pick<
  Api,
  'clusters' | 'start' | 'scale' | 'adapt' | 'keepCluster' | 'remove'
>;

export class Clusters implements IDisposable {
  private _api: ClusterApi;
  private _list: Cluster[] | null = null;
  private _updated: number | null = null;
  private _problem: string | null = null;
  private _ahead = 0;
  private _orders = 0;
  private _stopping = new Set<string>();
  private _targets = new Map<string, number>();
  private _refusals = new Map<string, string>();
  private _changed = new Signal<this, void>(this);
  private _poll: Poll;
  private _isDisposed = false;

  /** `isWatched` says whether anybody sees the list; nothing is fetched otherwise. */
  constructor(api: ClusterApi, isWatched: () => boolean) {
    this._api = api;
    this._poll = new Poll({
      name: 'shopfloor-lab:clusters',
      factory: () => this._fetch(),
      frequency: { interval: INTERVAL, backoff: true, max: MAX_INTERVAL },
      standby: () => (isWatched() ? 'when-hidden' : true)
    });
  }

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** Null until the first answer. */
  get list(): readonly Cluster[] | null {
    return this._list;
  }

  /** When the list was last heard, in epoch seconds of this browser, or null. */
  get updated(): number | null {
    return this._updated;
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
    this._poll.dispose();
    Signal.clearData(this);
  }

  /** Whether a stop was asked for that the list does not show yet. */
  isStopping(id: string): boolean {
    return this._stopping.has(id);
  }

  /** The number of workers asked for: what was just clicked, else what the server says. */
  wanted(cluster: Cluster): number {
    return this._targets.get(cluster.id) ?? cluster.workers.wanted;
  }

  /** Why the last order for this cluster was refused, or null. */
  refusal(id: string): string | null {
    return this._refusals.get(id) ?? null;
  }

  /** Puts a sentence beside a cluster, or takes it away. */
  setRefusal(id: string, message: string | null): void {
    if (message === null) {
      this._refusals.delete(id);
    } else {
      this._refusals.set(id, message);
    }
    this._changed.emit();
  }

  /** Looks now; resolves when the answer is in or the failure is noted in `problem`. */
  async refresh(): Promise<void> {
    try {
      await this._fetch();
    } catch (error) {
      if (!(error instanceof Refusal)) {
        throw error;
      }
    }
    // Goes on from here at the normal pace, whatever the failures before had stretched it to.
    void this._poll.schedule({ phase: 'resolved', interval: INTERVAL });
  }

  /** Starts a cluster; throws `Refusal`. */
  async start(start: Start): Promise<Cluster> {
    const cluster = await this._order(() => this._api.start(start));
    this._put(cluster);
    return cluster;
  }

  /** Asks for another number of workers; clicks during an order are sent as one when it is done. */
  async scale(cluster: Cluster, workers: number): Promise<void> {
    const { id } = cluster;
    const busy = this._targets.has(id);
    this._targets.set(id, workers);
    this.setRefusal(id, null);
    if (busy) {
      return;
    }
    try {
      let sent: number | undefined;
      while (sent !== this._targets.get(id)) {
        sent = this._targets.get(id)!;
        const target = sent;
        this._put(await this._order(() => this._api.scale(id, target)));
      }
    } catch (error) {
      this._note(id, error);
    } finally {
      this._targets.delete(id);
      this._changed.emit();
    }
  }

  /** Lets a cluster have as many workers as there is work for. */
  adapt(cluster: Cluster, range: Range): Promise<void> {
    return this._change(cluster.id, () => this._api.adapt(cluster.id, range));
  }

  /** Lets a cluster live that computes nothing. */
  keep(cluster: Cluster): Promise<void> {
    return this._change(cluster.id, () => this._api.keepCluster(cluster.id));
  }

  /** Asks anew for workers that were given up, as many as before. */
  retry(cluster: Cluster): Promise<void> {
    const { adapt } = cluster.workers;
    return adapt
      ? this.adapt(cluster, adapt)
      : this.scale(cluster, this.wanted(cluster));
  }

  /** Stops a living cluster, or takes an ended one off the list. */
  async remove(cluster: Cluster): Promise<void> {
    const { id } = cluster;
    this._stopping.add(id);
    this.setRefusal(id, null);
    try {
      await this._order(() => this._api.remove(id));
    } catch (error) {
      this._stopping.delete(id);
      this._note(id, error);
    }
    await this.refresh();
  }

  private async _change(
    id: string,
    order: () => Promise<Cluster>
  ): Promise<void> {
    this.setRefusal(id, null);
    try {
      this._put(await this._order(order));
    } catch (error) {
      this._note(id, error);
    }
  }

  private _note(id: string, error: unknown): void {
    if (!(error instanceof Refusal)) {
      throw error;
    }
    this.setRefusal(id, error.message);
  }

  /** A look that began before an order was carried out tells an old story: `_orders` marks it. */
  private async _order<T>(order: () => Promise<T>): Promise<T> {
    try {
      return await order();
    } finally {
      this._orders++;
    }
  }

  private async _fetch(): Promise<void> {
    const orders = this._orders;
    try {
      const { clusters, server_time } = await this._api.clusters();
      if (orders === this._orders) {
        this._list = clusters;
        this._forget();
      }
      this._ahead = server_time - Date.now() / 1000;
      this._updated = Date.now() / 1000;
      this._problem = null;
    } catch (error) {
      if (error instanceof Refusal) {
        this._problem = error.message;
      }
      throw error;
    } finally {
      this._changed.emit();
    }
  }

  private _put(cluster: Cluster): void {
    const list = this._list ?? [];
    this._list = list.some(one => one.id === cluster.id)
      ? list.map(one => (one.id === cluster.id ? cluster : one))
      : [cluster, ...list];
    this._changed.emit();
  }

  /** Drops what was kept about clusters that are gone, and marks of a stop that has happened. */
  private _forget(): void {
    const states = new Map(this._list?.map(one => [one.id, one.state]));
    for (const id of this._stopping) {
      if ((states.get(id) ?? 'ended') === 'ended') {
        this._stopping.delete(id);
      }
    }
    for (const id of this._refusals.keys()) {
      if (!states.has(id)) {
        this._refusals.delete(id);
      }
    }
  }
}
