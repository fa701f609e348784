/** A cluster's figures in words: what is told, and what is better left out. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import {
  gauges,
  hours,
  memoryLines,
  progressLine,
  runs,
  spentLine,
  tookLine,
  workerFigures
} from '../figureWords.ts';
import {
  english,
  GB,
  makeCluster,
  makeFigures,
  makeWorker
} from './support.ts';

const shown = (changes: Parameters<typeof makeCluster>[0]) =>
  gauges(makeCluster(changes), english).map(
    one => `${one.label} ${one.text} (${Math.round(100 * one.share)})`
  );

test('what is used stands against what there is, and never beyond', () => {
  assert.deepEqual(shown({}), ['Memory 1 of 4 GB (25)']);
  assert.deepEqual(shown({ figures: makeFigures({ cpu: 137 }) }), [
    'Memory 1 of 4 GB (25)',
    'CPU 1.4 of 4 (34)'
  ]);
  assert.deepEqual(
    shown({ memory: 0, memory_limit: 0, figures: makeFigures({ cpu: 900 }) }),
    ['CPU 9 of 4 (100)']
  );
  assert.deepEqual(
    shown({ memory_limit: 0, figures: makeFigures({ cpus: 0 }) }),
    []
  );
});

test('memory that is nearly full is said to be, CPUs that compute are not', () => {
  const [memory, cpu] = gauges(
    makeCluster({ memory: 3.8 * GB, figures: makeFigures({ cpu: 400 }) }),
    english
  );
  assert.deepEqual(
    [memory.text, memory.isFull],
    ['3.8 of 4 GB, nearly full', true]
  );
  assert.ok(!cpu.isFull);
});

test('GPUs are told together, and only where they say something', () => {
  const gpu = (busy: number | null, memory: number | null) => ({
    busy,
    memory,
    memory_limit: 40 * GB
  });
  const told = (...all: ReturnType<typeof gpu>[]) =>
    shown({
      memory_limit: 0,
      figures: makeFigures({
        cpus: 0,
        gpus: Object.fromEntries(all.map((one, at) => [`worker-${at}`, one]))
      })
    });
  assert.deepEqual(told(gpu(0.4, 10 * GB)), [
    'GPU busy 40 % (40)',
    'GPU memory 10 of 40 GB (25)'
  ]);
  assert.deepEqual(told(gpu(0.4, 10 * GB), gpu(0.8, 30 * GB)), [
    'GPU 2 GPUs, busy 60 % (60)',
    'GPU memory 40 of 80 GB (50)'
  ]);
  assert.deepEqual(told(gpu(null, null)), []);
  assert.deepEqual(told(gpu(null, 0)), ['GPU memory 0 of 40 GB (0)']);
});

test('progress is told of what runs, with its pace where there is one', () => {
  const progress = { done: 12, all: 40, groups: [] };
  const line = (changes: object) =>
    progressLine(makeFigures({ progress, ...changes }), english);
  assert.equal(line({ rate: 5.31 }), '12 of 40 tasks done, 5.3 per second');
  assert.equal(line({ rate: 1234.5 }), '12 of 40 tasks done, 1,235 per second');
  assert.equal(line({ rate: 0 }), '12 of 40 tasks done');
  assert.equal(line({ rate: null }), '12 of 40 tasks done');
  assert.equal(line({ progress: null }), '');
  const one = { done: 0, all: 1, groups: [] };
  assert.equal(line({ progress: one, rate: 0 }), '0 of 1 task done');
  const over = { done: 40, all: 40, groups: [] };
  assert.equal(line({ progress: over, rate: 3 }), '40 of 40 tasks done');
  assert.deepEqual([progress, over, null].map(runs), [true, false, false]);
});

test('where the memory went is told only where there is something to know', () => {
  const lines = (changes: object) =>
    memoryLines(makeCluster({ figures: makeFigures(changes) }), english);
  assert.deepEqual(lines({}), []);
  assert.deepEqual(memoryLines(makeCluster(), english), []);
  const [spill] = lines({ spilled: 1.2 * GB });
  assert.match(
    spill,
    /^1\.2 GB of results were written to disk because memory was full\./
  );
  const [unmanaged] = lines({ unmanaged: 2 * GB });
  assert.match(unmanaged, /^2 GB of memory hold no results.*unmanaged memory/);
  const both = { unmanaged: 2 * GB, spilled: 1 };
  assert.equal(lines(both).length, 2);
  const told = (...kinds: string[]) =>
    memoryLines(
      makeCluster({
        figures: makeFigures(both),
        troubles: kinds.map(kind => ({ kind, text: '', next: '', since: 0 }))
      }),
      english
    );
  assert.equal(told('many-tasks').length, 2);
  assert.deepEqual(told('spilling', 'unmanaged'), [], 'nothing is told twice');
});

test('what was taken is in GPU-hours as on the form, else in CPU-hours', () => {
  const line = (cpu_seconds: number, gpu_seconds: number) =>
    spentLine({ cpu_seconds, gpu_seconds }, english);
  assert.equal(line(20_000, 5400), 'Cost so far: 1.5 GPU-hours');
  assert.equal(line(8640, 0), 'Used so far: 2.4 CPU-hours');
  assert.equal(spentLine(null, english), '');
  const took = { cpu_seconds: 20_000, gpu_seconds: 5400 };
  assert.equal(tookLine(took, english), 'It took 1.5 GPU-hours.');
  assert.equal(
    tookLine({ ...took, gpu_seconds: 0 }, english),
    'It took 5.6 CPU-hours.'
  );
  assert.equal(tookLine(null, english), '');
  assert.equal(line(359, 0), 'Used so far: less than 0.1 CPU-hours');
  assert.equal(line(9, 35), 'Cost so far: less than 0.01 GPU-hours');
  const two = [36, 7200, 359_000, 4_334_400];
  assert.deepEqual(
    two.map(one => hours(one, 2, english)),
    ['0.01', '2', '99.72', '1,204']
  );
});

test('a worker tells its own part', () => {
  const worker = {
    ...makeWorker('connected'),
    name: 'worker-1',
    memory: GB,
    memory_limit: 2 * GB,
    cpu: 98.7,
    gpus: '0'
  };
  assert.deepEqual(workerFigures(worker, null, english), [
    '1 of 2 GB',
    'CPU 99 %',
    'GPU 0'
  ]);
  const gpu = { busy: 0.5, memory: 4 * GB, memory_limit: 40 * GB };
  const figures = makeFigures({ gpus: { 'worker-1': gpu } });
  assert.deepEqual(workerFigures(worker, figures, english).slice(2), [
    'GPU 0',
    'busy 50 %',
    '4 of 40 GB of its memory'
  ]);
  assert.deepEqual(workerFigures(makeWorker('pending'), figures, english), []);
});
