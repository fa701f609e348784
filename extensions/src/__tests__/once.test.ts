/** Orders of which only one is carried out at a time. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { oneAtATime } from '../once.ts';

test('what is asked for meanwhile is not done, and what is asked for afterwards is', async () => {
  const done: string[] = [];
  const waiting: (() => void)[] = [];
  const order = oneAtATime(async (name: string) => {
    done.push(name);
    await new Promise<void>(resolve => waiting.push(resolve));
  });
  const first = order('first');
  await order('second');
  assert.deepEqual(done, ['first']);
  waiting[0]();
  await first;
  const third = order('third');
  assert.deepEqual(done, ['first', 'third']);
  waiting[1]();
  await third;
});

test('an order that fails is over too', async () => {
  let count = 0;
  const order = oneAtATime(async () => {
    count++;
    throw new Error('no');
  });
  await assert.rejects(order);
  await assert.rejects(order);
  assert.equal(count, 2);
});
