/** The sentences about the server's own job. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import type { Session, Use } from '../contract.ts';
import { showCountdown } from '../quantity.ts';
import type { Saved } from '../saveAll.ts';
import * as words from '../sessionWords.ts';
import { english, GB } from './support.ts';

const use = (changes: Partial<Use> = {}): Use => ({
  cpu: 1.44,
  cpu_limit: 2,
  memory: 3.1 * GB,
  memory_limit: 8 * GB,
  gpus: [],
  home_free: 20 * GB,
  home_size: 100 * GB,
  ...changes
});

const session = (changes: Partial<Session> = {}): Session => ({
  job: 'shopfloor-server-0123456789abcdef',
  node: 'gpu01',
  request: { gpus: 1, time: 7200 },
  interval: 10,
  time: { left: 6720, warning: null },
  use: use(),
  memory_ends: 'kernel',
  idle: { state: 'warned', after: 7200, quiet: 6602, left: 598, final: 10 },
  ...changes
});

test('time left is to the minute, and to the second at the end', () => {
  assert.equal(words.timeLeftWords(6720.9, english), '1 h 52 min left');
  assert.equal(words.timeLeftWords(299.9, english), '4:59 left');
  assert.equal(showCountdown(300), '5 min');
  assert.equal(showCountdown(-3), '0:00');
});

test('the warning before the end says when, and what is lost', () => {
  assert.equal(
    words.endWarning(899.7, '16:05', english),
    '15 min left: JupyterLab ends at 16:05, with all that only its kernels hold. Saved files stay.'
  );
  assert.match(words.endWarning(29.4, '16:05', english), /^30 s left: /);
});

test('an idle server says since when, until when and what for', () => {
  const text = (changes: Partial<Session> = {}) =>
    words.idleWarning(session(changes), 6602, 597.2, english);
  assert.equal(
    text(),
    'Nothing has run for 1 h 50 min. This server ends in 9:58 to free its GPU.'
  );
  assert.match(text({ request: { gpus: 4 } }), /to free its 4 GPUs\.$/);
  assert.match(
    text({ request: { gpus: 0 } }),
    /to free its place for others\.$/
  );
});

test('an ended server says why, and what is safe', () => {
  assert.equal(
    words.idleEnded(session(), english),
    'This server ended after 2 h without work, to free its GPU. Saved files are safe.'
  );
  assert.equal(
    words.timeEnded(session(), english),
    'This server has reached its time limit of 2 h. Saved files are safe.'
  );
});

test('the rule is told to who asks, where there is one', () => {
  const idle = session().idle;
  assert.equal(
    words.idleRule(session(), english),
    'Ends after 2 h in which nothing runs and nobody does anything.'
  );
  const off = session({ idle: { ...idle, state: 'off', after: 0 } });
  assert.equal(words.idleRule(off, english), null);
});

test('use is told against what was given', () => {
  assert.equal(words.cpuLine(use(), english), '1.4 of 2 cores');
  assert.equal(words.cpuLine(use({ cpu: null }), english), 'not known yet');
  assert.equal(words.cpuShort(use(), english), 'CPU 1.4/2');
  assert.equal(words.memoryShort(use(), english), 'Memory 3.1/8 GB');
  assert.equal(words.memoryLine(use(), 'kernel', english), '3.1 of 8 GB');
});

test('near the limit it says what happens above it', () => {
  const full = use({ memory: 7.4 * GB });
  assert.ok(words.memoryIsHigh(full) && !words.memoryIsHigh(use()));
  assert.equal(
    words.memoryLine(full, 'kernel', english),
    '7.4 of 8 GB; above it the kernel is killed'
  );
  assert.equal(
    words.memoryLine(full, 'server', english),
    '7.4 of 8 GB; above it this server is ended'
  );
});

test('GPUs are told where they say something', () => {
  const gpu = {
    name: 'A100',
    busy: 0.93,
    memory: 40 * GB,
    memory_limit: 80 * GB
  };
  assert.equal(words.gpuLine(gpu, english), '93 % busy, 40 of 80 GB');
  assert.equal(words.gpuLine({ ...gpu, busy: null }, english), '40 of 80 GB');
  assert.equal(words.gpuShort(use(), english), null);
  const two = use({ gpus: [gpu, { ...gpu, busy: 0.5 }] });
  assert.equal(words.gpuShort(two, english), 'GPU 72 %');
});

test('a home with little room left is told', () => {
  assert.equal(words.homeLine(use(), english), '20 GB free');
  assert.ok(words.homeIsFull(use({ home_free: GB / 2 })));
  assert.ok(!words.homeIsFull(use({ home_free: null })));
});

test('saving says what was saved and what was not', () => {
  const said = (saved: string[], failed: Saved['failed']) =>
    words.savedWords({ saved, failed }, english);
  assert.equal(said([], []), 'Everything was saved already.');
  assert.equal(said(['a', 'b'], []), 'Saved 2 documents.');
  assert.equal(
    said(['a'], [{ path: 'b.ipynb', why: 'disk quota exceeded' }]),
    'Saved 1 document. Not saved: b.ipynb (disk quota exceeded).'
  );
  assert.equal(
    said([], [{ path: 'b.py', why: null }]),
    'Not saved: b.py (read-only).'
  );
});
