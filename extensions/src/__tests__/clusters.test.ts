/** The list of clusters against an API that answers when the test says so. */

import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';

import { type ClusterApi, Clusters } from '../clusters.ts';
import type { Cluster, Range } from '../contract.ts';
import { Refusal } from '../refusal.ts';
import { makeCluster } from './support.ts';

/** An API whose answers are given by hand, in the order of the questions. */
class HandFed implements ClusterApi {
  asked: [string, ...unknown[]][] = [];
  answers: { give(value: unknown): void; fail(e: Error): void }[] = [];

  clusters = () =>
    this._ask<{ clusters: Cluster[]; server_time: number }>('clusters');
  start = () => this._ask<Cluster>('start');
  scale = (id: string, workers: number) =>
    this._ask<Cluster>('scale', id, workers);
  adapt = (id: string, range: Range) => this._ask<Cluster>('adapt', id, range);
  keepCluster = (id: string) => this._ask<Cluster>('keepCluster', id);
  remove = (id: string) => this._ask<void>('remove', id);

  /** Answers the oldest open question, and lets what follows from it happen. */
  async give(value?: unknown): Promise<void> {
    this.answers.shift()!.give(value);
    await settled();
  }

  async fail(error: Error): Promise<void> {
    this.answers.shift()!.fail(error);
    await settled();
  }

  async list(...clusters: Cluster[]): Promise<void> {
    await this.give({ clusters, server_time: Date.now() / 1000 });
  }

  private _ask<T>(...question: [string, ...unknown[]]): Promise<T> {
    this.asked.push(question);
    return new Promise<T>((give, fail) =>
      this.answers.push({ give: value => give(value as T), fail })
    );
  }
}

/** Resolves when the promises that wait on an answer have run. */
const settled = () => new Promise(resolve => setImmediate(resolve));

let clusters: Clusters;
afterEach(() => clusters.dispose());

/** A list that nobody watches: it asks only when told to. */
function unwatched(): HandFed {
  const api = new HandFed();
  clusters = new Clusters(api, () => false);
  return api;
}

test('nothing is fetched while nobody watches', async () => {
  const api = unwatched();
  await settled();
  assert.deepEqual(api.asked, []);
  assert.equal(clusters.list, null);
});

test('a failed look keeps the list, says why, and since when it is old', async () => {
  const api = unwatched();
  void clusters.refresh();
  await api.list(makeCluster());
  const { updated } = clusters;
  assert.equal(clusters.problem, null);
  void clusters.refresh();
  await api.fail(new Refusal('Your server does not answer.'));
  assert.equal(clusters.problem, 'Your server does not answer.');
  assert.equal(clusters.updated, updated);
  assert.equal(clusters.list?.length, 1);
  void clusters.refresh();
  await api.list();
  assert.equal(clusters.problem, null);
  assert.deepEqual(clusters.list, []);
});

test('a look that began before an order was carried out does not undo it', async () => {
  const api = unwatched();
  void clusters.refresh();
  const started = clusters.start({ workers: 2, request: {} });
  const [look, order] = [() => api.list(), () => api.give(makeCluster())];
  // The order's answer overtakes that of the look.
  api.answers.reverse();
  await order();
  await look();
  assert.equal((await started).id, 'c1');
  assert.deepEqual(
    clusters.list?.map(one => one.id),
    ['c1']
  );
});

test('clicks during an order to scale are sent as one', async () => {
  const api = unwatched();
  const cluster = makeCluster();
  const at = (wanted: number) =>
    makeCluster({ workers: { ...cluster.workers, wanted } });
  for (const workers of [3, 4, 5]) {
    void clusters.scale(cluster, workers);
  }
  assert.equal(clusters.wanted(cluster), 5);
  await api.give(at(3));
  await api.give(at(5));
  assert.deepEqual(api.asked, [
    ['scale', 'c1', 3],
    ['scale', 'c1', 5]
  ]);
  assert.equal(clusters.wanted(clusters.list![0]), 5);
});

test('asked again, a cluster that follows its work goes on to do so', async () => {
  const api = unwatched();
  const adapt = { minimum: 0, maximum: 4 };
  const cluster = makeCluster();
  const adapting = makeCluster({ workers: { ...cluster.workers, adapt } });
  void clusters.adapt(cluster, adapt);
  await api.give(adapting);
  assert.deepEqual(clusters.list![0].workers.adapt, adapt);
  void clusters.retry(adapting);
  await api.fail(new Refusal('maximum: at most 3', 'maximum'));
  assert.equal(clusters.refusal('c1'), 'maximum: at most 3');
  void clusters.retry(cluster);
  await api.give(cluster);
  assert.deepEqual(api.asked, [
    ['adapt', 'c1', adapt],
    ['adapt', 'c1', adapt],
    ['scale', 'c1', 2]
  ]);
});

test('a cluster that is kept is shown as kept, and one that has ended says so', async () => {
  const api = unwatched();
  const warned = makeCluster({ idle: { after: 3600, ends: 1100 } });
  void clusters.keep(warned);
  await api.give(makeCluster({ idle: { after: 3600, ends: null } }));
  assert.equal(clusters.list![0].idle!.ends, null);
  void clusters.keep(warned);
  await api.fail(new Refusal("Cluster 'flights' has ended."));
  assert.equal(clusters.refusal('c1'), "Cluster 'flights' has ended.");
  assert.deepEqual(api.asked[0], ['keepCluster', 'c1']);
});

test('a refused number of workers falls back to what the server has, with its sentence', async () => {
  const api = unwatched();
  const cluster = makeCluster();
  void clusters.scale(cluster, 99);
  await api.fail(new Refusal('workers: at most 8', 'workers'));
  assert.equal(clusters.wanted(cluster), 2);
  assert.equal(clusters.refusal('c1'), 'workers: at most 8');
});

test('a stop is marked until the list shows it', async () => {
  const api = unwatched();
  const cluster = makeCluster();
  void clusters.remove(cluster);
  await api.give();
  await api.list(cluster);
  assert.ok(clusters.isStopping('c1'));
  void clusters.refresh();
  await api.list(makeCluster({ state: 'ended' }));
  assert.ok(!clusters.isStopping('c1'));
});

test('a refused stop is not marked, and says why', async () => {
  const api = unwatched();
  void clusters.remove(makeCluster());
  await api.fail(new Refusal('scancel does not answer'));
  assert.ok(!clusters.isStopping('c1'));
  assert.equal(clusters.refusal('c1'), 'scancel does not answer');
});

test('time left goes by the clock of the server', async () => {
  const api = unwatched();
  void clusters.refresh();
  await api.give({ clusters: [], server_time: Date.now() / 1000 + 3600 });
  assert.ok(Math.abs(clusters.now - Date.now() / 1000 - 3600) < 60);
});
