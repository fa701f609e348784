/** Views between people: what is said of them, and that nothing stays on screen that was taken back. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Refusal } from '../refusal.ts';
import {
  LIST_EACH,
  type SharedApi,
  SharedViews,
  VIEW_EACH
} from '../sharedViews.ts';
import {
  ageLine,
  clusterOf,
  linePoints,
  lookedLine,
  readNames,
  type Share,
  shareLine,
  type SharedItem,
  type SharedView
} from '../sharing.ts';
import { stateLine, workersLine } from '../words.ts';
import { english, GB, makeCluster, makeFigures, settled } from './support.ts';

const clock = (time: number) => `<${time}>`;

function makeShare(changes: Partial<Share> = {}): Share {
  return {
    people: ['bob'],
    teams: ['vision'],
    until: 5000,
    looked: [],
    problem: null,
    ...changes
  };
}

function makeItem(changes: Partial<SharedItem> = {}): SharedItem {
  return {
    owner: 'alice',
    cluster: 'c1',
    name: 'flights',
    state: 'running',
    until: 5000,
    told: 1000,
    ...changes
  };
}

function makeView(changes: Partial<SharedView> = {}): SharedView {
  const { gpus: _, ...figures } = makeFigures();
  return {
    owner: 'alice',
    cluster: 'c1',
    until: 5000,
    told: 1000,
    server_time: 1001,
    view: { ...makeCluster(), figures, history: [] },
    ...changes
  };
}

/** Answers at once with what the test put there; a question for what is not there is refused. */
class Shown implements SharedApi {
  asked: string[] = [];
  items: SharedItem[] | Refusal = [];
  views: Record<string, SharedView | Refusal> = {};

  shared = async () => {
    this.asked.push('list');
    if (this.items instanceof Refusal) {
      throw this.items;
    }
    return { shared: this.items };
  };

  sharedView = async (owner: string, id: string) => {
    this.asked.push(`${owner}/${id}`);
    const view = this.views[`${owner}/${id}`];
    if (view instanceof Refusal) {
      throw view;
    }
    return view;
  };
}

/** A timer whose time comes when the test says so. */
class Hand {
  waiting: { callback: () => void; milliseconds: number }[] = [];

  timer = (callback: () => void, milliseconds: number) => {
    const one = { callback, milliseconds };
    this.waiting.push(one);
    return () => {
      this.waiting = this.waiting.filter(other => other !== one);
    };
  };

  async pass(milliseconds: number): Promise<void> {
    const due = this.waiting.filter(one => one.milliseconds === milliseconds);
    this.waiting = this.waiting.filter(one => !due.includes(one));
    due.forEach(one => one.callback());
    await settled();
  }
}

async function watched(api: Shown): Promise<[SharedViews, Hand]> {
  const hand = new Hand();
  const shared = new SharedViews(api, hand.timer);
  shared.watch(true);
  await settled();
  return [shared, hand];
}

test('a share says who sees it until when, and who looked', () => {
  assert.equal(
    shareLine(makeShare(), english, clock),
    'Seen by vision, bob until <5000>'
  );
  assert.equal(
    lookedLine(makeShare(), english, clock),
    'Nobody has looked yet.'
  );
  const looked = [
    { name: 'bob', at: 7 },
    { name: 'carol', at: 9 }
  ];
  assert.equal(
    lookedLine(makeShare({ looked }), english, clock),
    'Looked last: carol at <9>, bob at <7>'
  );
});

test('names are read however they are separated, each once', () => {
  assert.deepEqual(readNames(' bob, carol;dave  bob,,'), [
    'bob',
    'carol',
    'dave'
  ]);
  assert.deepEqual(readNames('  '), []);
});

test('a view that is not updated says since when and why, an ended one need not be', () => {
  assert.equal(ageLine(makeView(), english, clock), '');
  const old = { server_time: 1046 };
  assert.equal(
    ageLine(makeView(old), english, clock),
    'Not updated since <1000>: the Lab of alice does not answer.'
  );
  const ended = { ...makeView(old).view, state: 'ended' as const };
  assert.equal(ageLine(makeView({ ...old, view: ended }), english, clock), '');
});

test("somebody else's cluster is drawn as one's own, with what is not shown left out", () => {
  const cluster = clusterOf(makeView());
  assert.equal(stateLine(cluster, english), 'Running on cpu01');
  assert.equal(workersLine(cluster, english), '2 connected');
  assert.deepEqual(cluster.figures?.gpus, {});
  assert.deepEqual(
    cluster.workers.rows.map(row => [row.job_id, row.log]),
    [
      [null, null],
      [null, null]
    ]
  );
  const { view } = makeView();
  const bare = makeView({ view: { ...view, figures: null } });
  assert.equal(clusterOf(bare).figures, null);
});

test('a line goes through its values from left to right, and never out of its box', () => {
  assert.equal(
    linePoints([0, GB, 2 * GB], 2 * GB, 100, 10),
    '0.0,10.0 50.0,5.0 100.0,0.0'
  );
  assert.equal(linePoints([-1, 9], 2, 100, 10), '0.0,10.0 100.0,0.0');
  assert.equal(linePoints([3], 0, 100, 10), '0.0,10.0');
});

test('what is shown is asked for while somebody looks, and what is unfolded more often', async () => {
  const api = new Shown();
  api.items = [makeItem()];
  api.views['alice/c1'] = makeView();
  const [shared, hand] = await watched(api);
  assert.deepEqual(shared.list, api.items);
  assert.deepEqual(api.asked, ['list']);
  await hand.pass(VIEW_EACH);
  assert.deepEqual(api.asked, ['list'], 'it is folded');

  shared.toggle(makeItem());
  await settled();
  await hand.pass(VIEW_EACH);
  assert.deepEqual(api.asked, ['list', 'alice/c1', 'alice/c1']);
  assert.equal(shared.view(makeItem())?.view.name, 'flights');
  await hand.pass(LIST_EACH);
  assert.equal(api.asked.at(-1), 'list');

  shared.watch(false);
  assert.deepEqual(hand.waiting, [], 'nobody looks');
  const before = api.asked.length;
  shared.watch(true);
  await settled();
  assert.deepEqual(api.asked.slice(before).sort(), ['alice/c1', 'list']);

  shared.toggle(makeItem());
  assert.equal(shared.view(makeItem()), null);
  const folded = api.asked.length;
  await hand.pass(VIEW_EACH);
  assert.equal(api.asked.length, folded, 'folded, nothing is asked');
});

test('what was taken back is gone from the screen with the next question', async () => {
  const api = new Shown();
  api.items = [makeItem(), makeItem({ cluster: 'c2' })];
  api.views['alice/c1'] = makeView();
  const [shared, hand] = await watched(api);
  shared.toggle(makeItem());
  await settled();
  assert.ok(shared.view(makeItem()));

  api.views['alice/c1'] = new Refusal('No such cluster', null, 404);
  await hand.pass(VIEW_EACH);
  assert.equal(shared.view(makeItem()), null);
  assert.deepEqual(
    shared.list.map(one => one.cluster),
    ['c2']
  );
  assert.ok(!hand.waiting.some(one => one.milliseconds === VIEW_EACH));

  api.items = [];
  await hand.pass(LIST_EACH);
  assert.deepEqual(shared.list, []);
});

test('a hub that is away leaves what was seen, and says so; it is asked again', async () => {
  const api = new Shown();
  api.items = [makeItem()];
  api.views['alice/c1'] = makeView();
  const [shared, hand] = await watched(api);
  shared.toggle(makeItem());
  await settled();
  api.views['alice/c1'] = new Refusal('The hub does not answer.', null, 503);
  await hand.pass(VIEW_EACH);
  assert.equal(shared.problem(makeItem()), 'The hub does not answer.');
  assert.ok(shared.view(makeItem()));
  api.views['alice/c1'] = makeView({ told: 1003 });
  await hand.pass(VIEW_EACH);
  assert.equal(shared.problem(makeItem()), null);
  assert.equal(shared.view(makeItem())?.told, 1003);
});

test('an answer that comes after it was folded is not kept', async () => {
  const api = new Shown();
  api.items = [makeItem()];
  let give: (view: SharedView) => void = () => undefined;
  api.sharedView = () => new Promise(resolve => (give = resolve));
  const [shared, hand] = await watched(api);
  shared.toggle(makeItem());
  shared.toggle(makeItem());
  give(makeView());
  await settled();
  assert.equal(shared.view(makeItem()), null);
  assert.ok(!hand.waiting.some(one => one.milliseconds === VIEW_EACH));
});

test('without a hub there is no list, and no error', async () => {
  const api = new Shown();
  api.items = new Refusal('This server was not started by a hub.', null, 503);
  const [shared, hand] = await watched(api);
  assert.deepEqual(shared.list, []);
  assert.equal(hand.waiting.length, 1);
});
