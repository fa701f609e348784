/** What the panel says about clusters, workers and tasks: plain words made from the contract's values. */

import type { Cluster, Range, Worker } from './contract.ts';
import { LONGEST_PAUSE } from './feed.ts';
import { showSeconds } from './quantity.ts';

/** States of a worker that somebody should hear of. */
const MISSING: Worker['state'][] = ['lost', 'failed', 'ended'];

/** The part of Lab's translation bundle that sentences need. */
export interface Words {
  __(text: string, ...values: unknown[]): string;
  _n(one: string, many: string, count: number, ...values: unknown[]): string;
}

/** What a job's state is told from: a cluster's or a kernel's. */
export type Stated = Pick<Cluster, 'state' | 'reason' | 'cause' | 'node'>;

/** How old the list is and why, where it is not current; `clock` shows a time of day. */
export function newsLine(
  news: {
    list: readonly unknown[] | null;
    updated: number | null;
    problem: string | null;
    missing: string | null | undefined;
    asOf: number | null;
  },
  trans: Words,
  clock: (time: number) => string
): string {
  const { list, updated, problem, missing, asOf } = news;
  if (problem) {
    return updated === null
      ? problem
      : trans.__('Not updated since %1. %2', clock(updated), problem);
  }
  if (list === null) {
    return trans.__('Looking…');
  }
  if (asOf !== null) {
    return trans.__('As of %1. Looking…', clock(asOf));
  }
  if (missing === undefined) {
    return '';
  }
  const line = trans.__(
    'This list is only updated every %1 s now.',
    LONGEST_PAUSE / 1000
  );
  return missing ? trans.__('%1 %2', line, missing) : line;
}

/** The word for a job's state; what it waits for or why it ended is `why`. */
export function stateWord(job: Pick<Stated, 'state'>, trans: Words): string {
  switch (job.state) {
    case 'submitted':
      return trans.__('Asked');
    case 'pending':
      return trans.__('Waiting');
    case 'starting':
      return trans.__('Starting');
    case 'running':
      return trans.__('Running');
    case 'ended':
      return trans.__('Ended');
  }
}

/** How a cause begins that says the state once more: `ended after 2 h without work`. */
const ENDED = 'ended ';

/** State, place and reason in one line: `Running on gpu01`, `Waiting: all GPUs are busy`. */
export function stateLine(job: Stated, trans: Words): string {
  const word = stateWord(job, trans);
  const why = job.state === 'ended' ? job.cause : job.reason;
  if (why?.startsWith(ENDED)) {
    return trans.__('Ended %1', why.slice(ENDED.length));
  }
  if (why) {
    return trans.__('%1: %2', word, why);
  }
  return job.node && job.state !== 'ended'
    ? trans.__('%1 on %2', word, job.node)
    : word;
}

/** A waiting job's place and expected start: `place 3 · expected 14:05`; empty where neither is known. */
export function queueLine(
  job: Queued,
  trans: Words,
  clock: (time: number) => string
): string {
  return queueParts(job, trans, clock).join(' · ');
}

type Queued = Pick<Worker, 'place' | 'expected'>;

function queueParts(
  { place, expected }: Queued,
  trans: Words,
  clock: (time: number) => string
): string[] {
  return [
    ...(typeof place === 'number' ? [trans.__('place %1', place)] : []),
    ...(typeof expected === 'number'
      ? [trans.__('expected %1', clock(expected))]
      : [])
  ];
}

/** That a cluster has ended, and why where that is known. */
export function endedLine(cluster: Cluster, trans: Words): string {
  if (cluster.cause?.startsWith(ENDED)) {
    const after = cluster.cause.slice(ENDED.length);
    return trans.__('The cluster “%1” has ended %2', cluster.name, after);
  }
  return cluster.cause
    ? trans.__('The cluster “%1” has ended: %2', cluster.name, cluster.cause)
    : trans.__('The cluster “%1” has ended.', cluster.name);
}

/** What to read out to who does not see the list: clusters whose state is another one, or whose workers are missing. */
export function announcement(
  before: readonly Cluster[] | null,
  after: readonly Cluster[] | null,
  trans: Words
): string {
  const known = new Map(before?.map(one => [one.id, one]));
  const missing = (one?: Cluster) =>
    one?.workers.rows.filter(row => MISSING.includes(row.state)).length ?? 0;
  const sentences = [];
  for (const one of (before && after) ?? []) {
    const old = known.get(one.id);
    if (old?.state !== one.state) {
      sentences.push(trans.__('%1: %2', one.name, stateLine(one, trans)));
    } else if (missing(one) > missing(old)) {
      sentences.push(trans.__('%1: %2', one.name, workersLine(one, trans)));
    }
  }
  return sentences.join('. ');
}

/** The time left in words, or null where no end is known. `now` in epoch seconds of the server's clock. */
export function timeLeft(
  job: Pick<Cluster, 'ends' | 'state'>,
  now: number,
  trans: Words
): string | null {
  if (job.ends === null || job.state === 'ended') {
    return null;
  }
  const left = Math.floor(job.ends - now);
  return left < 60
    ? trans.__('less than a minute left')
    : trans.__('%1 left', showSeconds(left - (left % 60)));
}

/** That a cluster is about to end for want of work, or null. */
export function idleLine(
  cluster: Cluster,
  trans: Words,
  clock: (time: number) => string
): string | null {
  const { idle } = cluster;
  if (!idle?.ends || cluster.state !== 'running') {
    return null;
  }
  return trans.__(
    'It computes nothing, and ends at %1 unless it does. Results that it only holds are lost then.',
    clock(idle.ends)
  );
}

/** The warning of a cluster that ends for want of work, where its row is not seen; `at` is a time of day. */
export function idleWarning(name: string, at: string, trans: Words): string {
  return trans.__(
    '“%1” computes nothing, and ends at %2 unless it does. Results that it only holds are lost then.',
    name,
    at
  );
}

/** The warning of a cluster whose time is nearly up; `at` is a time of day. */
export function timeWarning(name: string, at: string, trans: Words): string {
  return trans.__(
    '“%1” reaches its time limit at %2. Results that it only holds are lost then.',
    name,
    at
  );
}

/** All workers in one line: `2 connected, 1 waiting: all GPUs are busy`. */
export function workersLine(cluster: Cluster, trans: Words): string {
  const { wanted, connected, rows } = cluster.workers;
  const inState = (...states: Worker['state'][]) =>
    rows.filter(row => states.includes(row.state));
  const starting = inState('starting');
  const waiting = inState('requested', 'submitted', 'pending');
  const lost = inState('lost');
  const failed = inState('failed');
  const ended = inState('ended');
  const living = connected + starting.length + waiting.length + lost.length;
  const part = (text: string, workers: Worker[]) => {
    const reason = workers.find(worker => worker.reason)?.reason;
    return reason ? trans.__('%1: %2', text, reason) : text;
  };
  const parts = [trans._n('%1 connected', '%1 connected', connected)];
  if (starting.length) {
    parts.push(
      part(trans._n('%1 starting', '%1 starting', starting.length), starting)
    );
  }
  if (cluster.state !== 'ended' && wanted > living) {
    parts.push(trans.__('%1 asked for', wanted - living));
  }
  if (wanted < living) {
    parts.push(trans.__('%1 leaving', living - wanted));
  }
  if (lost.length) {
    parts.push(trans._n('%1 not answering', '%1 not answering', lost.length));
  }
  if (waiting.length) {
    parts.push(
      part(trans._n('%1 waiting', '%1 waiting', waiting.length), waiting)
    );
  }
  if (failed.length) {
    parts.push(part(trans._n('%1 failed', '%1 failed', failed.length), failed));
  }
  if (ended.length) {
    parts.push(part(trans._n('%1 ended', '%1 ended', ended.length), ended));
  }
  return parts.join(', ');
}

/** One worker's state and place, or why it waits or ended; `clock` shows a time of day. */
export function workerLine(
  worker: Worker,
  trans: Words,
  clock: (time: number) => string
): string {
  const words = {
    requested: trans.__('asked for'),
    submitted: trans.__('asked for'),
    pending: trans.__('waiting'),
    starting: trans.__('starting'),
    connected: trans.__('connected'),
    lost: trans.__('not answering'),
    failed: trans.__('failed'),
    ended: trans.__('ended')
  };
  const word = worker.node
    ? trans.__('%1 on %2', words[worker.state], worker.node)
    : words[worker.state];
  const line = worker.reason ? trans.__('%1: %2', word, worker.reason) : word;
  const parts = [line];
  if (worker.since !== null) {
    parts.push(trans.__('since %1', clock(worker.since)));
  }
  parts.push(...queueParts(worker, trans, clock));
  if (worker.exit !== null) {
    parts.push(trans.__('exit code %1', worker.exit));
  }
  return parts.join(' · ');
}

/** Whether workers are missing that are not replaced by themselves, so that a person is asked. */
export function canRetry(cluster: Cluster): boolean {
  const { wanted, rows } = cluster.workers;
  const over = rows.filter(row => ['failed', 'ended'].includes(row.state));
  return (
    cluster.state === 'running' &&
    over.length > 0 &&
    rows.length - over.length < wanted
  );
}

/** What the cluster computes: `12 tasks running, 30 waiting, 4 results in memory, 1 failed`. */
export function tasksLine(tasks: Cluster['tasks'], trans: Words): string {
  const parts = [];
  if (tasks.processing) {
    parts.push(
      trans._n('%1 task running', '%1 tasks running', tasks.processing)
    );
  }
  if (tasks.waiting) {
    parts.push(trans._n('%1 task waiting', '%1 tasks waiting', tasks.waiting));
  }
  if (tasks.memory) {
    parts.push(
      trans._n('%1 result in memory', '%1 results in memory', tasks.memory)
    );
  }
  if (tasks.erred) {
    parts.push(trans._n('%1 task failed', '%1 tasks failed', tasks.erred));
  }
  return parts.join(', ') || trans.__('No tasks');
}

/** What would be lost by stopping now, in a sentence, or null when nothing would. */
export function lossOnStop(cluster: Cluster, trans: Words): string | null {
  const { processing, waiting, memory } = cluster.tasks;
  if (cluster.state === 'ended' || processing + waiting + memory === 0) {
    return null;
  }
  const unfinished = processing + waiting;
  return unfinished
    ? trans._n(
        '%1 task is not finished. What only the workers hold in memory is lost; files stay.',
        '%1 tasks are not finished. What only the workers hold in memory is lost; files stay.',
        unfinished
      )
    : trans._n(
        '%1 result is only in the memory of the workers and is lost; files stay.',
        '%1 results are only in the memory of the workers and are lost; files stay.',
        memory
      );
}

/** The range that was typed, or the sentence that says what is wrong with it. */
export function readRange(
  minimum: string,
  maximum: string,
  trans: Words
): { range: Range } | { problem: string } {
  const [low, high] = [minimum, maximum].map(text =>
    /^\d+$/.test(text.trim()) ? Number(text) : NaN
  );
  if (Number.isNaN(low) || Number.isNaN(high)) {
    return { problem: trans.__('Both are whole numbers, from 0 on.') };
  }
  if (high < Math.max(low, 1)) {
    return {
      problem: trans.__('Most workers: at least %1.', Math.max(low, 1))
    };
  }
  return { range: { minimum: low, maximum: high } };
}
