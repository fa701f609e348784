/** Idle clusters while nobody sees the panel: who is told what, how often, and until when. */

import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';

import { IdleWarnings, readWarned, type Warned } from '../idleWarnings.ts';
import { makeCluster } from './support.ts';

let isSeen: boolean;
let shown: Map<string, Warned>;
let count: number;
let warnings: IdleWarnings;

beforeEach(() => {
  isSeen = false;
  shown = new Map();
  count = 0;
  warnings = new IdleWarnings(
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

const one = (ends = 5000): Warned => ({ id: 'c1', name: 'flights', ends });
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

test('an event of another shape warns of nothing', () => {
  assert.deepEqual(readWarned({ clusters: [one(), { id: 'c2' }, null, 7] }), [
    one()
  ]);
  assert.deepEqual(readWarned({ clusters: 'all' }), []);
  assert.deepEqual(readWarned({}), []);
});
