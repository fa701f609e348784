/** The list of clusters against an API that answers when the test says so. */

import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';

import { type ClusterApi, Clusters } from '../clusters.ts';
import type { Cluster, ClusterEvent, Ordered, Range } from '../contract.ts';
import { Refusal } from '../refusal.ts';
import { stopOrder } from '../stopping.ts';
import {
  english,
  HandStream,
  makeCluster,
  makeWorker,
  noTimer,
  settled
} from './support.ts';

/** An API whose answers are given by hand, in the order of the questions, and whose events too. */
class HandFed implements ClusterApi {
  asked: [string, ...unknown[]][] = [];
  answers: { give(value: unknown): void; fail(e: Error): void }[] = [];
  streams: HandStream<ClusterEvent>[] = [];

  clusters = () =>
    this._ask<{ clusters: Cluster[]; server_time: number }>('clusters');
  clusterEvents = () => {
    const stream = new HandStream<ClusterEvent>();
    this.streams.push(stream);
    return stream.read();
  };
  start = () => this._ask<Ordered>('start');
  scale = (id: string, workers: number) =>
    this._ask<Ordered>('scale', id, workers);
  adapt = (id: string, range: Range) => this._ask<Ordered>('adapt', id, range);
  keepCluster = (id: string) => this._ask<Ordered>('keepCluster', id);
  stop = (id: string) => this._ask<void>('stop', id);
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

  /** What became of a cluster by an order, as it was at this time of the server. */
  async done(cluster: Cluster, server_time = 10): Promise<void> {
    await this.give({ ...cluster, server_time });
  }

  /** An event of the stream that was opened last. */
  async tell(event: ClusterEvent | null): Promise<void> {
    this.streams.at(-1)!.tell(event);
    await settled();
  }

  private _ask<T>(...question: [string, ...unknown[]]): Promise<T> {
    this.asked.push(question);
    return new Promise<T>((give, fail) =>
      this.answers.push({ give: value => give(value as T), fail })
    );
  }
}

let clusters: Clusters;
afterEach(() => clusters.dispose());

/** A list that nobody watches: it asks only when told to. */
function unwatched(): HandFed {
  const api = new HandFed();
  clusters = new Clusters(api, noTimer);
  return api;
}

/** A list that somebody watches, which has heard of these clusters. */
async function watched(...heard: Cluster[]): Promise<HandFed> {
  const api = unwatched();
  clusters.watch(true);
  await api.tell({ kind: 'all', clusters: heard, server_time: 5 });
  return api;
}

test('nothing is heard or asked while nobody watches', async () => {
  const api = unwatched();
  await settled();
  assert.deepEqual([api.asked, api.streams], [[], []]);
  assert.equal(clusters.list, null);
  clusters.watch(true);
  clusters.watch(true);
  assert.equal(api.streams.length, 1);
  clusters.watch(false);
  await api.tell({ kind: 'all', clusters: [], server_time: 5 });
  assert.equal(clusters.list, null);
});

test('of a cluster only the fields that changed are told, of the list only that it changed', async () => {
  const old = makeCluster({ id: 'c1', name: 'old' });
  const api = await watched(old);
  const fresh = makeCluster({ id: 'c2' });
  await api.tell({
    kind: 'changed',
    clusters: [{ id: 'c1', state: 'ended', cause: 'You stopped it.' }, fresh],
    ids: ['c2', 'c1'],
    server_time: 7
  });
  assert.deepEqual(clusters.list, [
    fresh,
    { ...old, state: 'ended', cause: 'You stopped it.' }
  ]);
  await api.tell({
    kind: 'changed',
    clusters: [],
    ids: ['c2'],
    server_time: 9
  });
  assert.deepEqual(clusters.list, [fresh]);
  assert.deepEqual(api.asked, []);
});

test('of workers only the fields that changed are told', async () => {
  const row = (name: string) => ({ ...makeWorker('connected'), name, cpu: 3 });
  const cluster = makeCluster();
  const workers = { ...cluster.workers, rows: [row('one'), row('two')] };
  const api = await watched({ ...cluster, workers });
  await api.tell({
    kind: 'changed',
    clusters: [{ id: 'c1', memory: 7, rows: [{ name: 'two', cpu: 99 }] }],
    server_time: 7
  });
  assert.deepEqual(clusters.list, [
    {
      ...cluster,
      memory: 7,
      workers: { ...workers, rows: [row('one'), { ...row('two'), cpu: 99 }] }
    }
  ]);
});

test('what an order was answered stands until what was seen after it is heard', async () => {
  const two = makeCluster();
  const three = { workers: { ...two.workers, wanted: 3 } };
  const api = await watched(two);
  void clusters.scale(two, 3);
  await api.done({ ...two, ...three });
  assert.equal(clusters.list![0].workers.wanted, 3);
  // Looked at before the order was carried out.
  const memory = 7;
  await api.tell({
    kind: 'changed',
    clusters: [{ id: 'c1', memory }],
    server_time: 9
  });
  assert.equal(clusters.list![0].workers.wanted, 3);
  // Afterwards, when another tab had ordered two again.
  await api.tell({ kind: 'changed', clusters: [], server_time: 11 });
  assert.deepEqual(clusters.list, [{ ...two, memory }]);
});

test('an answer that was overtaken by what was seen after it is not taken', async () => {
  const api = await watched(makeCluster());
  void clusters.scale(makeCluster(), 3);
  await api.tell({
    kind: 'changed',
    clusters: [{ id: 'c1', memory: 7 }],
    server_time: 12
  });
  await api.done(makeCluster({ memory: 6 }));
  assert.equal(clusters.list![0].memory, 7);
});

test('one that was just started is there before the stream knows it, and once', async () => {
  const api = await watched(makeCluster());
  const fresh = makeCluster({ id: 'c2', name: 'fresh' });
  void clusters.start({ workers: 2, request: {} });
  await api.done(fresh);
  assert.deepEqual(
    clusters.list!.map(one => one.id),
    ['c2', 'c1']
  );
  // Seen when it was not even answered, and again afterwards.
  for (const server_time of [9, 11]) {
    await api.tell({
      kind: 'changed',
      clusters: [fresh],
      ids: ['c2', 'c1'],
      server_time
    });
    assert.equal(clusters.list!.length, 2);
  }
});

test('while the stream tells, nothing is asked', async () => {
  const api = await watched(makeCluster());
  await clusters.refresh();
  void clusters.remove(makeCluster());
  await api.give();
  assert.deepEqual(api.asked, [['remove', 'c1']]);
});

test('a stream that cannot be had is said, and the list is asked for', async () => {
  const api = unwatched();
  clusters.watch(true);
  await settled();
  api.streams[0].fail(new Refusal('The proxy does not let it through.'));
  await settled();
  await api.list(makeCluster());
  assert.equal(clusters.missing, 'The proxy does not let it through.');
  assert.deepEqual([clusters.list?.length, clusters.problem], [1, null]);
});

test('a server that cannot see its clusters says why, and a sign of life makes that no news', async t => {
  t.mock.timers.enable({ apis: ['Date'], now: 50_000 });
  const api = await watched(makeCluster());
  const { updated } = clusters;
  t.mock.timers.setTime(90_000);
  const message = 'your home directory cannot be read';
  await api.tell({ kind: 'trouble', message, server_time: 7 });
  await api.tell(null);
  assert.deepEqual([clusters.problem, clusters.updated], [message, updated]);
  assert.equal(clusters.list?.length, 1);
  await api.tell({ kind: 'all', clusters: [], server_time: 9 });
  assert.deepEqual([clusters.problem, clusters.list], [null, []]);
  t.mock.timers.setTime(95_000);
  await api.tell(null);
  assert.equal(clusters.updated, 95);
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
  const [look, order] = [() => api.list(), () => api.done(makeCluster())];
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
  await api.done(at(3));
  await api.done(at(5));
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
  await api.done(adapting);
  assert.deepEqual(clusters.list![0].workers.adapt, adapt);
  void clusters.retry(adapting);
  await api.fail(new Refusal('maximum: at most 3', 'maximum'));
  assert.equal(clusters.refusal('c1'), 'maximum: at most 3');
  void clusters.retry(cluster);
  await api.done(cluster);
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
  await api.done(makeCluster({ idle: { after: 3600, ends: null } }));
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

test('while one stops another one can be stopped', async () => {
  const api = unwatched();
  const questions: string[] = [];
  const stop = stopOrder(
    clusters,
    async ({ id }, loss) => {
      questions.push(`${id}: ${loss}`);
      return id !== 'kept';
    },
    english
  );
  await stop(makeCluster());
  await stop(makeCluster({ id: 'c2' }));
  assert.deepEqual(api.asked, [
    ['stop', 'c1'],
    ['stop', 'c2']
  ]);
  assert.ok(clusters.isStopping('c1') && clusters.isStopping('c2'));
  const tasks = { processing: 1, waiting: 0, memory: 0, erred: 0 };
  await stop(makeCluster({ id: 'kept', tasks }));
  assert.equal(api.asked.length, 2);
  assert.match(questions.at(-1)!, /^kept: 1 task is not finished/);
});

test('one that ended meanwhile is not taken off the list by a stop', async () => {
  const api = unwatched();
  void clusters.stop(makeCluster());
  await api.fail(new Refusal('Cluster “flights” has ended.', null, 409));
  assert.equal(clusters.refusal('c1'), 'Cluster “flights” has ended.');
  assert.equal(clusters.isStopping('c1'), false);
  assert.deepEqual(api.asked.at(-1), ['clusters'], 'it is looked at again');
});

test('a list that is shown again after a while says as of when it is', async t => {
  t.mock.timers.enable({ apis: ['Date'], now: 1_000_000 });
  const api = unwatched();
  clusters.watch(true);
  await api.tell({ kind: 'all', clusters: [makeCluster()], server_time: 1000 });
  clusters.watch(false);
  t.mock.timers.tick(10_000);
  clusters.watch(true);
  assert.equal(clusters.asOf, null, 'it was seen a moment ago');
  clusters.watch(false);
  t.mock.timers.tick(3_600_000);
  clusters.watch(true);
  assert.equal(clusters.asOf, 1000);
  await api.tell({ kind: 'all', clusters: [makeCluster()], server_time: 4610 });
  assert.equal(clusters.asOf, null);
});
