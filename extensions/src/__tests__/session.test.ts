/** The server's own job: what is counted down between two events, what is said once, and what is saved. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import type { NoJob, Session as Seen } from '../contract.ts';
import { Refusal } from '../refusal.ts';
import { type Doc, saveAll } from '../saveAll.ts';
import { dueWarning, Session, type SessionApi } from '../session.ts';
import { GB } from './support.ts';

export function makeSession(changes: Partial<Seen> = {}): Seen {
  return {
    job: 'shopfloor-server-0123456789abcdef',
    node: 'gpu01',
    request: { cpus: 2, memory: 8 * GB, gpus: 1, time: 7200 },
    interval: 10,
    time: { left: 6720, warning: null },
    use: null,
    memory_ends: 'kernel',
    idle: { state: 'active', after: 7200, quiet: 60, left: null, final: 10 },
    ...changes
  };
}

const warned = (left: number): Seen['idle'] => ({
  state: 'warned',
  after: 7200,
  quiet: 7200 - left,
  left,
  final: 10
});

/** A server that answers at once; `now` is what the test's clock shows. */
class Answering implements SessionApi {
  now = 1000;
  kept = 0;
  asked = 0;
  answer: Seen | NoJob | Refusal = makeSession();

  session = () => {
    this.asked++;
    return this._give(this.answer);
  };
  keep = () => {
    this.kept++;
    return this.answer instanceof Refusal
      ? Promise.reject(this.answer)
      : Promise.resolve();
  };

  make(): Session {
    return new Session(this, () => this.now);
  }

  private _give<T>(answer: T | Refusal): Promise<T> {
    return answer instanceof Refusal
      ? Promise.reject(answer)
      : Promise.resolve(answer);
  }
}

test('time left goes on between two events, and never below nothing', async () => {
  const api = new Answering();
  const session = api.make();
  await session.refresh();
  assert.equal(session.left, 6720);
  api.now += 20.5;
  assert.equal(session.left, 6699.5);
  assert.equal(session.quiet, 80.5);
  assert.equal(session.idleLeft, null);
  api.now += 10_000;
  assert.equal(session.left, 0);
});

test('an event corrects the countdown, and an end that was moved is believed', () => {
  const api = new Answering();
  const session = api.make();
  session.take(makeSession());
  api.now += 10;
  session.take(makeSession({ time: { left: 9000, warning: null } }));
  assert.equal(session.left, 9000);
});

test('the countdown of an idle server runs down and is gone when it works again', () => {
  const api = new Answering();
  const session = api.make();
  session.take(makeSession({ idle: warned(600) }));
  api.now += 2;
  assert.equal(session.idleLeft, 598);
  session.take(makeSession());
  assert.equal(session.idleLeft, null);
});

test('a server that is no job is not asked again', async () => {
  const api = new Answering();
  api.answer = { job: null };
  const session = api.make();
  await session.refresh();
  api.now += 1000;
  session.tick();
  assert.equal(api.asked, 1);
  assert.equal(session.seen, null);
});

test('a silent server is asked now and then, not at every tick', async () => {
  const api = new Answering();
  const session = api.make();
  await session.refresh();
  api.now += 34;
  session.tick();
  assert.equal(api.asked, 1);
  assert.ok(!session.isStale);
  api.answer = new Refusal('Your server does not answer.');
  api.now += 2;
  assert.ok(session.isStale);
  for (let second = 0; second < 40; second++) {
    session.tick();
    api.now += 1;
  }
  assert.equal(api.asked, 3);
});

test('a person at the page is said now and then, but at once when the end is near', async () => {
  const api = new Answering();
  const session = api.make();
  session.take(makeSession());
  await session.touch();
  await session.touch();
  api.now += 59;
  await session.touch();
  assert.equal(api.kept, 1);
  api.now += 2;
  await session.touch();
  assert.equal(api.kept, 2);
  session.take(makeSession({ idle: warned(500) }));
  api.now += 2;
  await session.touch();
  assert.equal(api.kept, 3);
});

test('nobody is told of a person where no rule asks', async () => {
  const api = new Answering();
  const session = api.make();
  await session.touch();
  session.take(
    makeSession({
      idle: { state: 'off', after: 0, quiet: 0, left: null, final: 0 }
    })
  );
  await session.touch();
  assert.equal(api.kept, 0);
});

test('a word that was not heard is said again; a wish to keep it is refused aloud', async () => {
  const api = new Answering();
  const session = api.make();
  session.take(makeSession());
  api.answer = new Refusal('Your server does not answer.');
  await session.touch();
  await session.touch();
  assert.equal(api.kept, 2);
  await assert.rejects(session.keep(), Refusal);
});

test('the last moment is a minute before the end, less for short jobs, and near an idle end', () => {
  const api = new Answering();
  const session = api.make();
  const at = (left: number, changes: Partial<Seen> = {}) => {
    session.take(makeSession({ time: { left, warning: null }, ...changes }));
    return session.isLastMoment;
  };
  assert.ok(!at(61));
  assert.ok(at(60));
  assert.ok(!at(8, { request: { time: 60 } }));
  assert.ok(at(7, { request: { time: 60 } }));
  assert.ok(!at(5000, { idle: warned(11) }));
  assert.ok(at(5000, { idle: warned(10) }));
});

test('a server has ended when it says so, or is silent after its time', () => {
  const api = new Answering();
  const session = api.make();
  session.take(makeSession({ time: { left: 5, warning: 300 } }));
  api.now += 19;
  assert.ok(!session.hasEnded);
  // Its end was put off, and nobody has told it: what answers has not ended.
  session.take(makeSession({ time: { left: 0, warning: 300 } }));
  api.now += 19;
  assert.ok(!session.hasEnded);
  api.now += 2;
  assert.ok(session.hasEnded);
  session.take(makeSession({ idle: { ...warned(0), state: 'expired' } }));
  assert.ok(session.hasEnded);
});

test('each warning is given once, of two only the pressing one, and anew when the end moves', () => {
  const given: (number | null)[] = [];
  let said: number | null = null;
  for (const mark of [null, 900, 900, 300, 300, null, 900, 300, 900, 300]) {
    const next = dueWarning(mark, said);
    given.push(next.due);
    said = next.said;
  }
  const none = null;
  assert.deepEqual(given, [
    ...[none, 900, none, 300, none],
    ...[none, 900, 300, none, 300]
  ]);
  assert.equal(dueWarning(300, null).due, 300);
});

test('saving all saves what has changes, and one failure keeps nothing else from it', async () => {
  const saved: string[] = [];
  class Open implements Doc {
    path: string;
    model: Doc['model'];
    private _why: string;
    constructor(path: string, dirty: boolean, why = '', readOnly = false) {
      this.path = path;
      this.model = { dirty, readOnly };
      this._why = why;
    }
    async save() {
      if (this._why) {
        throw new Error(this._why);
      }
      saved.push(this.path);
    }
  }
  const result = await saveAll([
    new Open('bad.ipynb', true, 'disk quota exceeded'),
    new Open('clean.ipynb', false),
    new Open('a.ipynb', true),
    new Open('locked.py', true, '', true),
    new Open('b.py', true)
  ]);
  assert.deepEqual(saved, ['a.ipynb', 'b.py']);
  assert.deepEqual(result.saved.sort(), saved);
  assert.deepEqual(result.failed, [
    { path: 'locked.py', why: null },
    { path: 'bad.ipynb', why: 'disk quota exceeded' }
  ]);
});
