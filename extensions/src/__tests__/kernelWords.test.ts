/** What Lab says about kernels that are jobs. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import {
  causeSentence,
  diedSentence,
  endedSentence,
  gpuTimeLines,
  heldLine,
  idleSentence,
  kernelAnnouncement,
  kernelName,
  spokenLine,
  toolbarLine
} from '../kernelWords.ts';
import { kernelOutlookLines } from '../outlook.ts';
import type { JobKernel } from '../kernelContract.ts';
import { english, makeKernel } from './support.ts';

const clock = (time: number) => `<${time}>`;
const line = (changes: Partial<JobKernel>, now = 1000) =>
  toolbarLine(makeKernel(changes), now, english, clock);
const spoken = (changes: Partial<JobKernel>) =>
  spokenLine(makeKernel(changes), english, clock);

test('one that waits says for what, its place, and when it may start', () => {
  const waiting = {
    state: 'pending',
    node: null,
    reason: 'A100 busy'
  } as const;
  assert.equal(line(waiting), 'Waiting: A100 busy');
  assert.equal(
    line({ ...waiting, place: 3, expected: 5000 }),
    'Waiting: A100 busy · place 3 · about <5000>'
  );
  assert.equal(spoken({ ...waiting, place: 3 }), 'Waiting: A100 busy');
  assert.equal(line({ state: 'submitted', node: null }), 'Asked');
  assert.equal(line({ state: 'starting' }), 'Starting on gpu01');
});

test('one that runs says where, and how much time is left', () => {
  assert.equal(line({}), 'gpu01 · 2 h left');
  assert.equal(line({}, 1061), 'gpu01 · 1 h 58 min left');
  assert.equal(line({ ends: null }), 'gpu01');
  assert.equal(spoken({}), 'Running on gpu01', 'time left is not read out');
});

test('what is wrong stands in its place, the worst first', () => {
  const idle = { idle: { after: 3600, ends: 5000 } };
  const ending = { ...idle, ending: 'idle' } as const;
  const silent = { ...ending, silent_since: 4000 };
  assert.equal(line(idle), 'Computes nothing, ends at <5000>');
  assert.equal(line(ending), 'Ends now, for it computes nothing');
  assert.equal(
    line({ ending: 'time', hook: { state: 'running', text: 'saving' } }),
    'Ends now, for its time is over: saving'
  );
  assert.equal(line(silent), 'gpu01 does not answer since <4000>');
  for (const changes of [idle, ending, silent]) {
    assert.equal(spoken(changes), line(changes));
  }
});

test('one that has ended says why, and not twice that it ended', () => {
  const ended = (cause: string | null) => makeKernel({ state: 'ended', cause });
  assert.equal(
    line({ state: 'ended', cause: 'Out of memory' }),
    'Ended: Out of memory'
  );
  assert.equal(causeSentence(ended(null), english), 'Ended.');
  assert.equal(
    causeSentence(ended('ended at its time limit of 2 h'), english),
    'Ended at its time limit of 2 h.'
  );
  assert.equal(
    endedSentence(ended('gpu01 stopped answering at 14:02.'), english),
    'The kernel of train.ipynb has ended. Ended: gpu01 stopped answering at 14:02.'
  );
});

test('that it is idle is only told of one that runs', () => {
  const idle = { after: 3600, ends: 5000 };
  assert.match(
    idleSentence(makeKernel({ idle }), english, clock)!,
    /ends at <5000>/
  );
  assert.equal(
    idleSentence(makeKernel({ idle, state: 'ended' }), english, clock),
    null
  );
});

test('it is called as its notebook, or as its environment', () => {
  assert.equal(kernelName(makeKernel()), 'train.ipynb');
  assert.equal(kernelName(makeKernel({ path: null })), 'Python 3');
});

test('what it held of GPUs is told with what it used of that', () => {
  const held = (gpu_seconds: JobKernel['gpu_seconds']) =>
    heldLine(makeKernel({ gpu_seconds }), english);
  assert.equal(
    held({ held: 5400, used: 648 }),
    'Held 1.5 GPU-hours, used 12 %'
  );
  assert.equal(
    held({ held: 5400, used: 648, unknown: 54 }),
    'Held 1.5 GPU-hours, used 12 %'
  );
  assert.equal(
    held({ held: 7200, used: 1800, unknown: 3600 }),
    'Held 2 GPU-hours, used 50 % of the 1 of which that is known'
  );
  assert.equal(
    held({ held: 5400, used: 0, unknown: 5400 }),
    'Held 1.5 GPU-hours, how much of that was used is not known'
  );
  assert.equal(held({ held: 0, used: 0 }), null);
  assert.equal(held(null), null);
});

test('who does not see the panel hears of states only, and of none that were there before', () => {
  const pending = makeKernel({ state: 'pending', node: null });
  assert.equal(kernelAnnouncement(null, [pending], english), '');
  assert.equal(
    kernelAnnouncement([pending], [makeKernel()], english),
    'train.ipynb: Running on gpu01'
  );
  assert.equal(
    kernelAnnouncement([makeKernel()], [makeKernel({ ends: 9 })], english),
    ''
  );
});

test('the outlook of a kernel speaks of no workers', () => {
  const outlook = {
    cost: '2 of 148 GPU-hours',
    rate: '1 GPU-hour per hour',
    too_dear: true,
    start: { kind: 'now' as const, at: null, why: '', ago: null },
    free: true,
    room: 3,
    rooms: {},
    cap: null
  };
  assert.deepEqual(kernelOutlookLines(outlook, 0, english), [
    'It can start now.',
    'Costs 1 GPU-hour per hour.',
    'To the end of its time: 2 of 148 GPU-hours.',
    'That is more than is left.'
  ]);
  for (const kind of ['later', 'refused', 'unknown'] as const) {
    const start = { kind, at: 3600, why: 'busy', ago: 60 };
    const [first] = kernelOutlookLines({ ...outlook, start }, 0, english);
    assert.doesNotMatch(first, /worker/);
  }
});

test('a kernel that died says why, and what is lost', () => {
  const death = { at: 1, cause: 'ran out of memory: asked 256 MB' };
  assert.equal(
    diedSentence(makeKernel({ death }), english),
    'The kernel of train.ipynb ran out of memory: asked 256 MB. Another one was started in the same job; the variables are lost.'
  );
});

test('GPU time of the month is told for all projects, and by project where there are several', () => {
  const of = (project: string, held: number, used: number) => ({
    project,
    held: held * 3600,
    used: used * 3600
  });
  const lines = (...projects: ReturnType<typeof of>[]) =>
    gpuTimeLines({ month: '2026-11', projects }, english);
  assert.deepEqual(lines(), []);
  assert.deepEqual(lines(of('physics', 0, 0)), []);
  assert.deepEqual(lines(of('physics', 8, 2)), [
    'This month: held 8 GPU-hours, used 25 %'
  ]);
  assert.deepEqual(lines(of('', 2, 0), of('physics', 6, 3)), [
    'This month: held 8 GPU-hours, used 38 %',
    'no project: held 2, used 0 %',
    'physics: held 6, used 50 %'
  ]);
});
