/** The clusters as last heard of: hears what changes while somebody looks, carries out orders, says when news is old. */

import type { IDisposable } from '@lumino/disposable';
import { type ISignal, Signal } from '@lumino/signaling';

import type { Api } from './api.ts';
import type {
  Cluster,
  ClusterEvent,
  Ordered,
  Range,
  Start,
  Worker
} from './contract.ts';
import { Feed } from './feed.ts';
import { Refusal } from './refusal.ts';
import { timeout, type Timer } from './timer.ts';

/** The part of the server's API that the list needs. */
export type ClusterApi = Pick<
  Api,
  | 'clusters'
  | 'clusterEvents'
  | 'start'
  | 'scale'
  | 'adapt'
  | 'keepCluster'
  | 'stop'
  | 'remove'
>;

/** Seconds after which what was heard is no news any more. */
const NEWS = 30;

export class Clusters implements IDisposable {
  private _api: ClusterApi;
  private _feed: Feed<ClusterEvent>;
  private _heard: Cluster[] | null = null;
  private _heardTo = 0;
  /** What orders were answered that is newer than what was heard. */
  private _answered = new Map<string, Ordered>();
  private _updated: number | null = null;
  private _asOf: number | null = null;
  private _problem: string | null = null;
  private _missing: string | null | undefined;
  private _ahead = 0;
  private _orders = 0;
  private _stopping = new Set<string>();
  private _targets = new Map<string, number>();
  private _refusals = new Map<string, string>();
  private _changed = new Signal<this, void>(this);
  private _isDisposed = false;

  constructor(api: ClusterApi, timer: Timer = timeout) {
    this._api = api;
    this._feed = new Feed(
      {
        open: signal => api.clusterEvents(signal),
        hear: event => this._hear(event),
        miss: problem => this._miss(problem)
      },
      timer
    );
  }

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** Newest first; null until the first news. */
  get list(): readonly Cluster[] | null {
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

  /**
   * Whether the list is only asked for now and then, because the stream cannot be had, with the reason; null where it
   * gave none, undefined where all is well.
   */
  get missing(): string | null | undefined {
    return this._missing;
  }

  /** When the list was last heard, in epoch seconds of this browser, or null. */
  get updated(): number | null {
    return this._updated;
  }

  /** As of when the list is that is shown again after a while, until there is news; in epoch seconds, or null. */
  get asOf(): number | null {
    return this._asOf;
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
    this._feed.stop();
    Signal.clearData(this);
  }

  /** Somebody looks at the list, or nobody does any more: nothing is heard then. */
  watch(isSeen: boolean): void {
    if (isSeen && !this._isDisposed) {
      this._feed.start();
      const updated = this._updated;
      if (updated !== null && Date.now() / 1000 - updated > NEWS) {
        this._asOf = updated;
        this._changed.emit();
      }
    } else {
      this._feed.stop();
    }
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

  /** Resolves when the list is current, or the failure is noted in `problem`. */
  async refresh(): Promise<void> {
    if (this._feed.isLive) {
      return;
    }
    const orders = this._orders;
    try {
      const { clusters, server_time } = await this._api.clusters();
      // A look that began before an order was carried out tells an old story.
      if (orders === this._orders && !this._feed.isLive) {
        this._answered.clear();
        this._take(clusters, server_time);
      }
    } catch (error) {
      if (!(error instanceof Refusal)) {
        throw error;
      }
      this._problem = error.message;
    }
    this._changed.emit();
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
      for (let target = workers; ;) {
        const sent = target;
        this._put(await this._order(() => this._api.scale(id, sent)));
        target = this._targets.get(id) ?? sent;
        if (target === sent) {
          break;
        }
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

  /** Stops a living cluster; one that ended meanwhile stays on the list, with why it did. */
  stop(cluster: Cluster): Promise<void> {
    return this._end(cluster.id, () => this._api.stop(cluster.id));
  }

  /** Takes an ended cluster off the list. */
  remove(cluster: Cluster): Promise<void> {
    return this._end(cluster.id, () => this._api.remove(cluster.id));
  }

  private async _end(id: string, order: () => Promise<void>): Promise<void> {
    this._stopping.add(id);
    this.setRefusal(id, null);
    try {
      await this._order(order);
      this._answered.delete(id);
    } catch (error) {
      this._stopping.delete(id);
      this._note(id, error);
    }
    await this.refresh();
  }

  private async _change(
    id: string,
    order: () => Promise<Ordered>
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

  private async _order<T>(order: () => Promise<T>): Promise<T> {
    try {
      return await order();
    } finally {
      this._orders++;
    }
  }

  private _hear(event: ClusterEvent | null): void {
    this._missing = undefined;
    if (event?.kind === 'trouble') {
      this._problem = event.message;
    } else if (event === null) {
      // Nothing changed, and what cannot be seen still cannot.
      if (!this._problem) {
        this._updated = Date.now() / 1000;
      }
    } else {
      for (const [id, { server_time }] of this._answered) {
        if (event.kind === 'all' || server_time <= event.server_time) {
          this._answered.delete(id);
        }
      }
      this._take(
        event.kind === 'all'
          ? event.clusters
          : changedList(this._heard ?? [], event),
        event.server_time
      );
    }
    this._changed.emit();
  }

  /** The stream cannot be had: what it would have told is asked for. */
  private async _miss(problem: string | null): Promise<void> {
    this._missing = problem;
    await this.refresh();
  }

  private _take(clusters: Cluster[], time: number): void {
    this._heard = clusters;
    this._heardTo = time;
    this._ahead = time - Date.now() / 1000;
    this._updated = Date.now() / 1000;
    this._asOf = this._problem = null;
    this._forget();
  }

  private _put(cluster: Ordered): void {
    if (cluster.server_time > this._heardTo) {
      this._answered.set(cluster.id, cluster);
    }
    this._changed.emit();
  }

  /** Drops what was kept about clusters that are gone, and marks of a stop that has happened. */
  private _forget(): void {
    const states = new Map(this.list?.map(one => [one.id, one.state]));
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

/** The list after a change. */
function changedList(
  before: Cluster[],
  event: ClusterEvent & { kind: 'changed' }
): Cluster[] {
  const known = new Map(before.map(one => [one.id, one]));
  for (const { rows, ...fields } of event.clusters) {
    // One that is new has all its fields.
    const cluster = { ...known.get(fields.id), ...fields } as Cluster;
    known.set(fields.id, rows ? withRows(cluster, rows) : cluster);
  }
  const ids = event.ids ?? before.map(one => one.id);
  return ids.flatMap(id => known.get(id) ?? []);
}

function withRows(
  cluster: Cluster,
  changed: (Partial<Worker> & { name: string })[]
): Cluster {
  const news = new Map(changed.map(one => [one.name, one]));
  const rows = cluster.workers.rows.map(row => ({
    ...row,
    ...news.get(row.name)
  }));
  return { ...cluster, workers: { ...cluster.workers, rows } };
}
