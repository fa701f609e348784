/** One stream of events: when it is opened again, and when it is missed. */

import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';

import { Feed } from '../feed.ts';
import { Refusal } from '../refusal.ts';
import { HandStream, settled } from './support.ts';

/** A feed whose streams and timers the test holds. */
class Held {
  streams: { stream: HandStream<string>; signal: AbortSignal }[] = [];
  heard: (string | null)[] = [];
  missed: (string | null)[] = [];
  timers: { call(): void; milliseconds: number }[] = [];
  feed = new Feed<string>(
    {
      open: signal => {
        const stream = new HandStream<string>();
        this.streams.push({ stream, signal });
        return stream.read();
      },
      hear: event => this.heard.push(event),
      miss: problem => {
        this.missed.push(problem);
        return Promise.resolve();
      }
    },
    (call, milliseconds) => {
      const timer = { call, milliseconds };
      this.timers.push(timer);
      return () => {
        this.timers = this.timers.filter(one => one !== timer);
      };
    }
  );

  get stream(): HandStream<string> {
    return this.streams.at(-1)!.stream;
  }

  /** The one time-out that runs is over. */
  async pass(): Promise<number> {
    assert.equal(this.timers.length, 1);
    const [timer] = this.timers;
    timer.call();
    await settled();
    return timer.milliseconds;
  }
}

let held: Held;
afterEach(() => held.feed.stop());

async function started(): Promise<Held> {
  held = new Held();
  held.feed.start();
  await settled();
  return held;
}

test('a stream that ended is opened again soon, and nobody is worried', async () => {
  const { feed } = await started();
  held.stream.tell('a');
  await settled();
  assert.ok(feed.isLive);
  held.stream.end();
  await settled();
  assert.ok(!feed.isLive);
  assert.deepEqual(held.missed, []);
  assert.ok((await held.pass()) <= 1250);
  assert.equal(held.streams.length, 2);
  held.stream.tell('b');
  await settled();
  assert.deepEqual(held.heard, ['a', 'b']);
});

test('one that cannot be had is tried again with growing pauses, and each time it is missed', async () => {
  await started();
  const pauses = [];
  for (let attempt = 1; attempt <= 6; attempt++) {
    held.stream.fail(new Refusal('no way'));
    await settled();
    assert.equal(held.missed.length, attempt);
    pauses.push(await held.pass());
  }
  assert.equal(held.missed[0], 'no way');
  for (const [at, least] of [1, 2, 4, 8, 15, 15].entries()) {
    assert.ok(pauses[at] >= 1000 * least && pauses[at] <= 1250 * least);
  }
  held.stream.tell('a');
  await settled();
  held.stream.end();
  await settled();
  assert.ok((await held.pass()) <= 1250, 'it begins anew after it was had');
});

test('a stream that says nothing at all is missed, as behind a proxy that keeps it', async () => {
  await started();
  assert.equal(await held.pass(), 15_000);
  assert.deepEqual(held.missed, [null]);
  assert.ok(held.streams[0].signal.aborted);
});

test('one that falls silent is opened again, for the server says that it is there', async () => {
  await started();
  held.stream.tell('a');
  await settled();
  held.stream.tell(null);
  await settled();
  assert.deepEqual(held.heard, ['a', null]);
  assert.ok((await held.pass()) >= 2 * 15_000);
  assert.ok(held.streams[0].signal.aborted);
  await held.pass();
  assert.equal(held.streams.length, 2);
});

test('stopped, it is closed at once, hears nothing, and leaves no timer', async () => {
  const { feed } = await started();
  held.stream.tell('a');
  await settled();
  feed.stop();
  assert.ok(held.streams[0].signal.aborted && !feed.isLive);
  held.stream.tell('b');
  await settled();
  assert.deepEqual([held.heard, held.timers], [['a'], []]);
  feed.start();
  await settled();
  assert.equal(held.streams.length, 2);
});

test('stopped during a pause, it is not opened again', async () => {
  const { feed } = await started();
  held.stream.fail(new Refusal('no way'));
  await settled();
  feed.stop();
  await settled();
  assert.deepEqual([held.timers, held.streams.length], [[], 1]);
});
