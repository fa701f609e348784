/** Which ends of kernels are news, and how often. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import type { JobKernel } from '../kernelContract.ts';
import { KernelNews } from '../kernelNews.ts';
import { makeKernel } from './support.ts';

const NOW = 4; // of the first look

/** What is told of the last of these looks at a kernel. */
function told(...looks: Partial<JobKernel>[]) {
  const news = new KernelNews();
  const all = looks.map((one, at) => news.of([makeKernel(one)], NOW + at));
  return all.at(-1)?.map(one => one.what);
}

const what = (before: Partial<JobKernel> | null, after: Partial<JobKernel>) =>
  before ? told(before, after) : told(after);

const ended = { state: 'ended' } as const;
const idle = (ends: number | null) => ({ idle: { after: 3600, ends } });

test('an end is told once, and none of before the page was opened', () => {
  assert.deepEqual(what({}, ended), ['ended']);
  assert.deepEqual(what(ended, ended), []);
  assert.deepEqual(what(null, ended), []);
  const news = new KernelNews();
  assert.deepEqual(news.of([], NOW), []);
  const between = news.of([makeKernel(ended)], NOW);
  assert.equal(between.length, 1, 'it began and ended between two looks');
});

test('a warning is told at each mark once, and to who opens the page later', () => {
  assert.deepEqual(what({}, { warning: 900 }), ['time']);
  assert.deepEqual(what({ warning: 900 }, { warning: 900 }), []);
  assert.deepEqual(what({ warning: 900 }, { warning: 300 }), ['time']);
  assert.deepEqual(what({ warning: 300 }, { warning: null }), []);
  assert.deepEqual(what({ warning: 300 }, { warning: 900 }), [], 'put off');
  assert.deepEqual(what(null, { warning: 300 }), ['time']);
});

test('that it is idle is told for each end that this has', () => {
  assert.deepEqual(what(idle(null), idle(5000)), ['idle']);
  assert.deepEqual(what(idle(5000), idle(5000)), []);
  assert.deepEqual(what(idle(5000), idle(9000)), ['idle']);
  assert.deepEqual(what(idle(5000), idle(null)), []);
});

test('that it ends now is told before all else but the end itself', () => {
  const ending = { ending: 'time', warning: 60, ...idle(5000) } as const;
  assert.deepEqual(what({}, ending), ['ending']);
  assert.deepEqual(what(ending, { ...ending, warning: 30 }), []);
  assert.deepEqual(what({}, { ...ending, ...ended }), ['ended']);
});

const death = (at: number) => ({ death: { at, cause: 'ran out of memory' } });

test('that a kernel died is told once, and none of before the page was opened', () => {
  assert.deepEqual(what({}, death(5)), ['died']);
  assert.deepEqual(what(death(5), death(5)), []);
  assert.deepEqual(what(death(5), death(6)), ['died']);
  assert.deepEqual(what(null, death(5)), []);
  assert.deepEqual(what(death(5), { ...death(5), ...ended }), ['ended']);
});

test('while Lab has not found it again it says of no death; that is not told again, another one is', () => {
  const unknown = { state: 'starting', death: null } as const;
  assert.deepEqual(told({}, death(5), unknown, death(5)), []);
  assert.deepEqual(told({}, unknown, death(5)), ['died']);
  assert.deepEqual(told(death(3), unknown, death(5)), ['died']);
  assert.deepEqual(told(unknown, death(3)), [], 'before the page was opened');
  const news = new KernelNews();
  news.of([makeKernel(death(3))], NOW);
  news.of([], NOW);
  assert.deepEqual(news.of([makeKernel(death(3))], NOW), [], 'off the list');
});
