/** Which notebooks are connected by themselves, and to which cluster. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { isBlank, newestRunning } from '../autoConnect.ts';
import { makeCluster } from './support.ts';

test('a notebook as Lab makes it is blank, one that anything was written into is not', () => {
  assert.ok(isBlank([]));
  assert.ok(isBlank([{ type: 'code', source: '' }]));
  assert.ok(!isBlank([{ type: 'code', source: 'client' }]));
  assert.ok(!isBlank([{ type: 'markdown', source: '' }]));
  assert.ok(
    !isBlank([
      { type: 'code', source: '' },
      { type: 'code', source: '' }
    ])
  );
});

test('of the clusters that run the newest is taken, and none that waits or has ended', () => {
  const [waiting, newer, older] = [
    makeCluster({ id: 'a', state: 'pending' }),
    makeCluster({ id: 'b', state: 'running' }),
    makeCluster({ id: 'c', state: 'running' })
  ];
  assert.equal(newestRunning([waiting, newer, older]), newer);
  assert.equal(newestRunning([waiting]), undefined);
  assert.equal(newestRunning(null), undefined);
});
