/** What becomes of a cell whose execution was recorded where it ran. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import type { Run } from '../kernelContract.ts';
import {
  type CellNow,
  errorOutput,
  isMore,
  isThere,
  outputsOf,
  stepFor
} from '../replay.ts';
import { english } from './support.ts';

const printed = (text: string) => [
  { output_type: 'stream', name: 'stdout', text }
];

function makeRun(changes: Partial<Run> = {}): Run {
  return {
    msg_id: 'm1',
    session: 's1',
    cell: 'c1',
    state: 'done',
    execution_count: 4,
    outputs: printed('all'),
    dropped: 0,
    began: 1000,
    ended: 1010,
    broken: false,
    ...changes
  };
}

const running = makeRun({ state: 'running', ended: null });

function step(run: Run, now: Partial<CellNow>) {
  const cell = {
    outputs: [],
    executionCount: null,
    isRunning: false,
    asked: null,
    ...now
  };
  return stepFor(run, run.outputs, cell);
}

test('a page that was opened later gets what it has not', () => {
  assert.deepEqual(step(makeRun(), {}), { set: true, follow: false });
  assert.deepEqual(step(makeRun(), { outputs: printed('a') }), {
    set: true,
    follow: false
  });
  assert.deepEqual(step(running, {}), { set: true, follow: true });
});

test('what it has already is not touched, so that the notebook has no changes', () => {
  const has = { outputs: printed('all'), executionCount: 4 };
  assert.deepEqual(step(makeRun(), has), { set: false, follow: false });
  assert.deepEqual(step(makeRun(), { ...has, executionCount: 3 }), {
    set: true,
    follow: false
  });
  assert.deepEqual(step(makeRun(), { ...has, isRunning: true }), {
    set: true,
    follow: false
  });
  assert.deepEqual(
    step(running, { outputs: printed('all'), isRunning: true }),
    { set: false, follow: true }
  );
});

test('what this page asked for and heard in full is left alone, also when its outputs were cleared', () => {
  for (const run of [makeRun(), running]) {
    const asked = { id: 'm1', missed: false };
    assert.equal(step(run, { asked }), null);
    assert.equal(step(run, { asked, isRunning: true }), null);
  }
});

test('what it asked for and missed a part of is set, and followed while it goes on', () => {
  const asked = { id: 'm1', missed: true };
  const now = { asked, isRunning: true, outputs: printed('al') };
  assert.deepEqual(step(makeRun(), now), { set: true, follow: false });
  assert.deepEqual(step(running, now), { set: true, follow: true });
});

test('a cell that this page ran later, here or elsewhere, is left alone', () => {
  for (const missed of [false, true]) {
    assert.equal(step(makeRun(), { asked: { id: 'm2', missed } }), null);
  }
});

test('what was left out is told first, once', () => {
  assert.deepEqual(outputsOf(makeRun(), english), printed('all'));
  const [first, ...rest] = outputsOf(
    makeRun({ dropped: 3 * 1024 ** 2 }),
    english
  );
  assert.match(String(first.text), /^\[3 MB were left out here/);
  assert.deepEqual(rest, printed('all'));
});

const plot = (png: string) => ({
  output_type: 'display_data',
  data: { 'image/png': png },
  metadata: {}
});

test('what was left out of a run stays where a page has heard it', () => {
  const shown = { outputs: [plot('a'), plot('b')], executionCount: 4 };
  const nothing = makeRun({ outputs: [], dropped: 3e5 });
  const half = makeRun({ outputs: [plot('b')], dropped: 2e5 });
  const stay = { set: false, follow: false };
  assert.deepEqual(step(nothing, shown), stay);
  assert.deepEqual(step(half, shown), stay);
  assert.deepEqual(
    step(half, { outputs: [plot('b')], executionCount: 4 }),
    stay
  );
  for (const before of [
    { ...shown, executionCount: 3 },
    { ...shown, outputs: [plot('b'), plot('c')] },
    { ...shown, outputs: [] }
  ]) {
    assert.equal(step(half, before)?.set, true);
  }
  assert.equal(step(nothing, { ...shown, executionCount: 3 })?.set, true);
});

test('a text of which the beginning was left out is known by its end', () => {
  const cut = makeRun({ outputs: printed('9\n10\n'), dropped: 20 });
  const all = printed('1\n2\n9\n10\n');
  assert.equal(step(cut, { outputs: all, executionCount: 4 })?.set, false);
  const other = [{ ...all[0], name: 'stderr' }];
  assert.equal(step(cut, { outputs: other, executionCount: 4 })?.set, true);
  const goesOn = { ...cut, state: 'running', execution_count: null } as Run;
  const asked = { id: 'm1', missed: true };
  for (const isRunning of [true, false]) {
    assert.deepEqual(step(goesOn, { outputs: all, asked, isRunning }), {
      set: false,
      follow: true
    });
  }
  const missed = { outputs: all, asked, isRunning: true };
  assert.deepEqual(step(cut, missed), { set: false, follow: false });
});

test('what is kept of one that broke off is taken where it is more than what was heard', () => {
  assert.ok(isMore(printed('all'), printed('al')));
  assert.ok(!isMore(printed('al'), printed('all')));
  assert.ok(!isMore(printed('all'), printed('all')));
});

test('a sentence below a cell stands there alone', () => {
  const output = errorOutput('KernelEnded', 'Out of memory.');
  assert.deepEqual(output.traceback, ['Out of memory.']);
  assert.equal(output.evalue, 'Out of memory.');
});

test('what a notebook has of a run that is over is kept where it is more than was recorded', () => {
  const there = (recorded: string, shown: string, changes: Partial<Run> = {}) =>
    isThere(makeRun(changes), printed(recorded), printed(shown), 4);
  assert.ok(there('a', 'a'));
  assert.ok(there('a', 'ab'));
  assert.ok(!there('ab', 'a'));
  assert.ok(!there('short', 'a longer one of an earlier run'));
  assert.ok(there('the end', 'all until the end', { dropped: 9 }));
  assert.ok(!there('the end', 'half', { dropped: 9 }));
  assert.ok(isThere(makeRun(), [], [], null));
});

test('under another number a cell shows another run', () => {
  const has = printed('all and more');
  assert.ok(!isThere(makeRun(), printed('all'), has, 3));
  assert.ok(isThere(makeRun(), printed('all'), has, 4));
  assert.ok(isThere(makeRun(), printed('all'), has, null));
});
