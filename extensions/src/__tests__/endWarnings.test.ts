/** Clusters that end soon: who is told what, how often, and until when. */

import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';

import { EndWarnings, readWarned, type Warned } from '../endWarnings.ts';
import { makeCluster } from './support.ts';

let isSeen: boolean;
let shown: Map<string, Warned>;
let count: number;
let warnings: EndWarnings;

beforeEach(() => {
  isSeen = false;
  shown = new Map();
  count = 0;
  warnings = new EndWarnings(
    {
      show: warned => {
        shown.set(`n${++count}`, warned);
        return `n${count}`;
      },
      dismiss: id => shown.delete(id)
    },
    () => isSeen
  );
});

const one = (ends = 5000): Warned => ({
  id: 'c1',
  name: 'flights',
  why: 'idle',
  ends,
  mark: 0
});
const atMark = (mark: number): Warned => ({ ...one(), why: 'time', mark });
const warned = (ends: number | null) =>
  makeCluster({ idle: { after: 7200, ends } });

test('a warning is shown once, however often it is told', () => {
  warnings.take([one()]);
  warnings.take([one()]);
  assert.deepEqual([...shown.values()], [one()]);
  assert.equal(count, 1);
});

test('it is gone when the cluster works, was kept or has ended', () => {
  warnings.take([one()]);
  warnings.take([]);
  assert.equal(shown.size, 0);
});

test('a later warning of the same cluster is another one', () => {
  warnings.take([one(5000)]);
  warnings.take([one(9000)]);
  assert.deepEqual([...shown.values()], [one(9000)]);
  assert.equal(count, 2);
});

test('what the panel shows is not told twice, but as soon as it is hidden', () => {
  isSeen = true;
  warnings.take([one()]);
  assert.equal(count, 0);
  isSeen = false;
  warnings.take([one()]);
  assert.equal(count, 1);
});

test('the list of the panel takes it down sooner, and it does not come back', () => {
  for (const clusters of [
    [warned(null)],
    [makeCluster({ state: 'ended', idle: { after: 7200, ends: 5000 } })],
    []
  ]) {
    warnings.take([one(5000 + count)]);
    const { size } = shown;
    warnings.see([warned(5000)]);
    assert.equal(shown.size, size);
    warnings.see(clusters);
    assert.equal(shown.size, 0);
    warnings.take([one(5000 + count - 1)]);
    assert.equal(shown.size, 0);
  }
  assert.equal(count, 3);
});

test('of its time it is told at each mark once, also who sees the panel, until it has ended', () => {
  isSeen = true;
  warnings.take([atMark(900)]);
  warnings.take([atMark(900)]);
  assert.equal(count, 1);
  warnings.take([atMark(300)]);
  assert.deepEqual([...shown.values()], [atMark(300)]);
  assert.equal(count, 2);
  warnings.see([warned(null)]);
  assert.equal(shown.size, 1);
  warnings.see([makeCluster({ state: 'ended' })]);
  assert.equal(shown.size, 0);
  warnings.take([atMark(300)]);
  assert.equal(count, 2);
});

test('of one that is idle and whose time is up both are told, each by itself', () => {
  warnings.take([one(), atMark(900)]);
  assert.equal(shown.size, 2);
  warnings.take([atMark(900)]);
  assert.deepEqual([...shown.values()], [atMark(900)]);
});

test('an event of another shape warns of nothing', () => {
  assert.deepEqual(
    readWarned({
      clusters: [one(), { id: 'c2' }, { ...one(), why: 'x' }, null, 7]
    }),
    [one()]
  );
  assert.deepEqual(readWarned({ clusters: 'all' }), []);
  assert.deepEqual(readWarned({}), []);
});
