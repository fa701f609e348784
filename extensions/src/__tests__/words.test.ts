/** The sentences about clusters: the worst that they could do is say something that is not so. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import {
  announcement,
  canRetry,
  idleLine,
  lossOnStop,
  newsLine,
  queueLine,
  readRange,
  stateLine,
  tasksLine,
  timeLeft,
  workerLine,
  workersLine
} from '../words.ts';
import { english, makeCluster, makeWorker } from './support.ts';

const workers = (wanted: number, rows: ReturnType<typeof makeWorker>[]) => ({
  workers: {
    wanted,
    connected: rows.filter(row => row.state === 'connected').length,
    adapt: null,
    rows
  }
});

test('a running cluster says where, a waiting one why, an ended one the cause', () => {
  const line = (changes: object) => stateLine(makeCluster(changes), english);
  assert.equal(line({}), 'Running on cpu01');
  assert.equal(
    line({ state: 'pending', node: null, reason: 'all nodes are busy' }),
    'Waiting: all nodes are busy'
  );
  assert.equal(
    line({ state: 'ended', cause: 'it used more memory than it asked for' }),
    'Ended: it used more memory than it asked for'
  );
  assert.equal(
    line({ state: 'ended', cause: 'ended after 2 h without work' }),
    'Ended after 2 h without work'
  );
  assert.equal(line({ state: 'submitted', node: null }), 'Asked');
  assert.equal(line({ state: 'ended' }), 'Ended');
});

test('a waiting cluster says its place and when it is expected, where these are known', () => {
  const line = (changes: object) =>
    queueLine(makeCluster(changes), english, time => `${time} h`);
  assert.equal(line({}), '');
  assert.equal(line({ place: 3 }), 'place 3');
  assert.equal(line({ place: 3, expected: 14 }), 'place 3 · expected 14 h');
});

test('a cluster says that it ends for want of work once it is warned, and not when it has ended', () => {
  const line = (changes: object) =>
    idleLine(makeCluster(changes), english, time => `T${time}`);
  assert.equal(line({ idle: null }), null);
  assert.equal(line({ idle: { after: 3600, ends: null } }), null);
  assert.match(
    line({ idle: { after: 3600, ends: 1700 } })!,
    /computes nothing, and ends at T1700 unless it does/
  );
  assert.equal(
    line({ state: 'ended', idle: { after: 3600, ends: 1700 } }),
    null
  );
});

test('the list says how old it is and why, and when it is only asked for now and then', () => {
  const current = {
    list: [],
    updated: 50,
    problem: null,
    missing: undefined,
    asOf: null
  };
  const line = (changes: object) =>
    newsLine({ ...current, ...changes }, english, time => `at ${time}`);
  assert.equal(line({}), '');
  assert.equal(line({ list: null, updated: null }), 'Looking…');
  assert.equal(line({ asOf: 50 }), 'As of at 50. Looking…');
  assert.equal(
    line({ problem: 'No answer.', missing: 'No answer.' }),
    'Not updated since at 50. No answer.'
  );
  assert.equal(line({ problem: 'No answer.', updated: null }), 'No answer.');
  assert.equal(
    line({ missing: 'Error 502.' }),
    'This list is only updated every 15 s now. Error 502.'
  );
  assert.equal(
    line({ missing: null }),
    'This list is only updated every 15 s now.'
  );
});

test('read out is what became another state or lost a worker, and nothing else', () => {
  const cluster = makeCluster();
  const said = (
    before: ReturnType<typeof makeCluster>[] | null,
    ...after: ReturnType<typeof makeCluster>[]
  ) => announcement(before, after, english);
  assert.equal(said(null, cluster), '', 'what is there is no news');
  assert.equal(said([cluster], makeCluster({ memory: 5 })), '');
  assert.equal(said([cluster]), '');
  assert.equal(said([], cluster), 'flights: Running on cpu01');
  assert.equal(
    said([cluster], makeCluster({ state: 'ended', cause: 'You stopped it.' })),
    'flights: Ended: You stopped it.'
  );
  const lost = workers(2, [makeWorker('connected'), makeWorker('lost')]);
  assert.equal(
    said([cluster], makeCluster(lost)),
    'flights: 1 connected, 1 not answering'
  );
  assert.equal(said([makeCluster(lost)], makeCluster(lost)), '');
});

test('workers are one line, with the reason of those that wait', () => {
  const cluster = makeCluster(
    workers(3, [
      makeWorker('connected'),
      makeWorker('connected'),
      makeWorker('pending', 'all A100 are busy')
    ])
  );
  assert.equal(
    workersLine(cluster, english),
    '2 connected, 1 waiting: all A100 are busy'
  );
});

test('workers that nobody has seen yet, that leave or that ended are counted apart', () => {
  const line = (wanted: number, rows: ReturnType<typeof makeWorker>[]) =>
    workersLine(makeCluster(workers(wanted, rows)), english);
  assert.equal(line(2, []), '0 connected, 2 asked for');
  assert.equal(
    line(1, [makeWorker('connected'), makeWorker('connected')]),
    '2 connected, 1 leaving'
  );
  assert.equal(
    line(1, [makeWorker('connected'), makeWorker('ended', 'out of memory')]),
    '1 connected, 1 ended: out of memory'
  );
});

test('workers that do not answer or failed are counted apart, and can be asked for again', () => {
  const failed = makeWorker('failed', 'ModuleNotFoundError');
  const rows = [makeWorker('connected'), makeWorker('lost'), failed];
  const cluster = makeCluster(workers(3, rows));
  assert.equal(
    workersLine(cluster, english),
    '1 connected, 1 asked for, 1 not answering, 1 failed: ModuleNotFoundError'
  );
  assert.equal(canRetry(cluster), true);
  assert.equal(canRetry(makeCluster(workers(2, rows))), false);
  assert.equal(canRetry({ ...cluster, state: 'ended' }), false);
});

test('a worker says where it is, why, since when, and when it is expected', () => {
  const line = (changes: object) =>
    workerLine(
      { ...makeWorker('pending', 'all A100 are busy'), ...changes },
      english,
      time => `at ${time}`
    );
  assert.equal(
    line({ place: 3, expected: 50 }),
    'waiting: all A100 are busy · place 3 · expected at 50'
  );
  assert.equal(
    line({ state: 'lost', node: 'cpu01', reason: null, since: 40 }),
    'not answering on cpu01 · since at 40'
  );
  assert.equal(
    line({ state: 'failed', reason: 'killed', exit: 137 }),
    'failed: killed · exit code 137'
  );
});

test('the workers of an ended cluster are not expected any more', () => {
  const cluster = makeCluster({ state: 'ended', ...workers(2, []) });
  assert.equal(workersLine(cluster, english), '0 connected');
});

test('time left is rounded down, and never negative', () => {
  const left = (now: number) => timeLeft(makeCluster(), now, english);
  assert.equal(left(1000), '2 h left');
  assert.equal(left(1001), '1 h 59 min left');
  assert.equal(left(8150), 'less than a minute left');
  assert.equal(left(9000), 'less than a minute left');
  assert.equal(timeLeft(makeCluster({ state: 'ended' }), 1000, english), null);
  assert.equal(timeLeft(makeCluster({ ends: null }), 1000, english), null);
});

test('tasks are named by what happens to them', () => {
  assert.equal(
    tasksLine({ processing: 1, waiting: 30, memory: 4, erred: 2 }, english),
    '1 task running, 30 tasks waiting, 4 results in memory, 2 tasks failed'
  );
  assert.equal(
    tasksLine({ processing: 0, waiting: 0, memory: 0, erred: 0 }, english),
    'No tasks'
  );
});

test('stopping asks only where something would be lost', () => {
  const loss = (tasks: object) =>
    lossOnStop(
      makeCluster({
        tasks: { processing: 0, waiting: 0, memory: 0, erred: 0, ...tasks }
      }),
      english
    );
  assert.equal(loss({}), null);
  assert.equal(loss({ erred: 3 }), null);
  assert.match(loss({ processing: 2, waiting: 1 }) ?? '', /^3 tasks are not/);
  assert.match(loss({ memory: 1 }) ?? '', /^1 result is only in the memory/);
});

test('a range is two whole numbers, of which the second is not the smaller one', () => {
  assert.deepEqual(readRange('0', ' 8 ', english), {
    range: { minimum: 0, maximum: 8 }
  });
  for (const [low, high] of [
    ['', '8'],
    ['1.5', '8'],
    ['-1', '8'],
    ['1', 'many']
  ]) {
    assert.match(
      (readRange(low, high, english) as { problem: string }).problem,
      /whole numbers/
    );
  }
  assert.deepEqual(readRange('3', '2', english), {
    problem: 'Most workers: at least 3.'
  });
  assert.deepEqual(readRange('0', '0', english), {
    problem: 'Most workers: at least 1.'
  });
});
