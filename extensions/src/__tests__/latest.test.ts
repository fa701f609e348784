/** A question that changes: asked once, after a pause, and old answers are dropped. */

import assert from 'node:assert/strict';
import { mock, test } from 'node:test';

import { Latest } from '../latest.ts';
import { Refusal } from '../refusal.ts';

/** Answers when it is told to. */
class Slow {
  asked: string[] = [];
  private _waiting = new Map<
    string,
    { resolve: (answer: string) => void; reject: (error: Error) => void }
  >();

  ask = (question: { q: string }): Promise<string> => {
    this.asked.push(question.q);
    return new Promise((resolve, reject) =>
      this._waiting.set(question.q, { resolve, reject })
    );
  };

  async answer(question: string, answer: string | Error): Promise<void> {
    const { resolve, reject } = this._waiting.get(question)!;
    if (typeof answer === 'string') {
      resolve(answer);
    } else {
      reject(answer);
    }
    await settled();
  }
}

const settled = () => new Promise(resolve => setImmediate(resolve));

function make(t: { after(end: () => void): void }) {
  mock.timers.enable({ apis: ['setTimeout'] });
  t.after(() => mock.timers.reset());
  const slow = new Slow();
  let changes = 0;
  const latest = new Latest(slow.ask, () => changes++, 400);
  return { slow, latest, changes: () => changes };
}

test('only the last of many changes is asked', async t => {
  const { slow, latest } = make(t);
  for (const q of ['a', 'b', 'c']) {
    latest.want({ q });
    mock.timers.tick(399);
  }
  assert.deepEqual(slow.asked, []);
  assert.deepEqual(latest.told, { asking: true });
  mock.timers.tick(1);
  assert.deepEqual(slow.asked, ['c']);
  await slow.answer('c', 'C');
  assert.deepEqual(latest.told, { answer: 'C' });
});

test('the same question is not asked again', async t => {
  const { slow, latest, changes } = make(t);
  latest.want({ q: 'a' });
  mock.timers.tick(400);
  await slow.answer('a', 'A');
  const before = changes();
  latest.want({ q: 'a' });
  mock.timers.tick(400);
  assert.deepEqual(slow.asked, ['a']);
  assert.equal(changes(), before);
});

test('an answer to what is asked no more is dropped', async t => {
  const { slow, latest } = make(t);
  latest.want({ q: 'a' });
  mock.timers.tick(400);
  latest.want({ q: 'b' });
  mock.timers.tick(400);
  await slow.answer('b', 'B');
  await slow.answer('a', 'A');
  assert.deepEqual(latest.told, { answer: 'B' });
  latest.want(null);
  assert.equal(latest.told, null);
});

test('a refusal is told, and another question takes it away', async t => {
  const { slow, latest } = make(t);
  latest.want({ q: 'a' });
  mock.timers.tick(400);
  await slow.answer('a', new Refusal('no such kernel', 'kernel'));
  assert.deepEqual(latest.told, { problem: 'no such kernel' });
  latest.want({ q: 'b' });
  assert.deepEqual(latest.told, { asking: true });
});

test('after it was disposed of nothing changes', async t => {
  const { slow, latest, changes } = make(t);
  latest.want({ q: 'a' });
  mock.timers.tick(400);
  const before = changes();
  latest.dispose();
  await slow.answer('a', 'A');
  assert.equal(changes(), before);
});
