/** A plot's way to the screen, against a server that answers and a clock that runs when the test says so. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { PlotView } from '../plotView.ts';
import { Refusal } from '../refusal.ts';
import { english } from './support.ts';

/** Resolves when the promises that wait on an answer have run. */
const settled = () => new Promise(resolve => setImmediate(resolve));

/** Answers in the order given; `tick` lets the oldest time-out that was not called off run. */
class Stage {
  answers: (string | Error)[] = [];
  waiting: { callback: () => void; milliseconds: number }[] = [];
  asked = 0;
  view = new PlotView(
    () => {
      this.asked++;
      const answer = this.answers.shift() ?? 'base/page';
      return answer instanceof Error
        ? Promise.reject(answer)
        : Promise.resolve(answer);
    },
    english,
    (callback, milliseconds) => {
      const one = { callback, milliseconds };
      this.waiting.push(one);
      return () => {
        this.waiting = this.waiting.filter(other => other !== one);
      };
    }
  );

  /** Somebody looks, or looks away. */
  async see(seen = true): Promise<void> {
    this.view.isSeen = seen;
    await settled();
  }

  /** The pause that ended, in milliseconds. */
  async tick(): Promise<number> {
    const { callback, milliseconds } = this.waiting.shift()!;
    callback();
    await settled();
    return milliseconds;
  }
}

const busy = () => new Refusal('It does not answer.', null, 503);
const over = () => new Refusal('It has ended: You stopped it.', null, 409);

test('a page is loaded from where it was said to be, and shown when it has drawn itself', async () => {
  const stage = new Stage();
  const { view } = stage;
  assert.equal(view.phase, 'asking');
  await stage.see();
  assert.deepEqual([view.phase, view.url], ['loading', 'base/page']);
  view.ready();
  assert.deepEqual([view.phase, view.problem], ['shown', null]);
  assert.deepEqual(stage.waiting, []);
});

test('a page that never draws itself is said to be so, and asked for again', async () => {
  const stage = new Stage();
  await stage.see();
  assert.equal(await stage.tick(), 30_000);
  assert.equal(stage.view.problem, 'The plot does not draw itself.');
  assert.equal(stage.view.url, null);
  await stage.tick();
  assert.deepEqual([stage.asked, stage.view.phase], [2, 'loading']);
});

test('a cluster that does not answer is asked again, less and less often, until it is shown', async () => {
  const stage = new Stage();
  stage.answers = Array.from({ length: 7 }, busy);
  await stage.see();
  const pauses = [];
  while (stage.view.phase === 'failed') {
    assert.equal(stage.view.problem, 'It does not answer.');
    pauses.push(await stage.tick());
  }
  assert.deepEqual(pauses, [1000, 2000, 4000, 8000, 16000, 30000, 30000]);
  stage.view.ready();
  stage.answers = [busy()];
  await stage.view.open();
  assert.equal(await stage.tick(), 1000);
});

test('of a cluster that has ended it is said why, and nothing is asked any more', async () => {
  const stage = new Stage();
  await stage.see();
  stage.view.ready();
  stage.answers = [over()];
  stage.view.lost();
  await stage.tick();
  assert.equal(stage.view.problem, 'It has ended: You stopped it.');
  assert.ok(stage.view.isOver);
  assert.deepEqual([stage.view.url, stage.waiting], [null, []]);
  stage.view.redraw();
  stage.view.lost();
  assert.equal(stage.asked, 2);
});

test('what the list of clusters says of an end comes before an answer that is on its way', async () => {
  const stage = new Stage();
  stage.view.isSeen = true;
  stage.view.end('“flights”: Ended');
  await settled();
  assert.deepEqual(
    [stage.view.phase, stage.view.problem, stage.view.url],
    ['failed', '“flights”: Ended', null]
  );
  assert.deepEqual(stage.waiting, []);
});

test('a page in other colours is another page, even at the same address', async () => {
  const stage = new Stage();
  await stage.see();
  const { view } = stage;
  view.ready();
  const { number, url } = view;
  view.redraw();
  await settled();
  assert.equal(view.url, url);
  assert.notEqual(view.number, number);
  assert.equal(view.phase, 'loading');
});

test('an error of ours is not taken for a refusal', async () => {
  const stage = new Stage();
  await stage.see();
  stage.answers = [new TypeError('ours')];
  await assert.rejects(stage.view.open(), TypeError);
});

test('nothing is waited for when the pane is closed', async () => {
  const stage = new Stage();
  await stage.see();
  stage.view.dispose();
  assert.deepEqual(stage.waiting, []);
  await stage.view.open();
  assert.equal(stage.asked, 1);
});

test('nothing is loaded or looked for while nobody looks', async () => {
  const stage = new Stage();
  await stage.view.open();
  assert.equal(stage.asked, 0);
  await stage.see();
  assert.deepEqual([stage.asked, stage.view.phase], [1, 'loading']);
  await stage.see(false);
  assert.deepEqual(stage.waiting, [], 'a hidden page need not draw itself');
  await stage.see();
  stage.view.ready();
  await stage.see(false);
  await stage.see();
  assert.deepEqual([stage.asked, stage.view.phase], [2, 'shown']);
  await stage.see(false);
  stage.view.redraw();
  await settled();
  assert.deepEqual([stage.asked, stage.view.phase], [2, 'asking']);
  await stage.see();
  stage.view.ready();
  await stage.see(false);
  stage.view.lost();
  assert.deepEqual(stage.waiting, []);
  stage.answers = [busy()];
  await stage.see();
  assert.equal(stage.view.problem, 'It does not answer.');
  await stage.see(false);
  assert.deepEqual([stage.asked, stage.waiting], [4, []]);
});
