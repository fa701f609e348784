/** The kernels that are jobs against an API that answers when the test says so. */

import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';

import { type KernelApi, JobKernels } from '../jobKernels.ts';
import type { JobKernel, JobKernelList } from '../kernelContract.ts';
import { Refusal } from '../refusal.ts';
import { makeKernel, settled } from './support.ts';

/** An API whose answers are given by hand, in the order of the questions. */
class HandFed implements KernelApi {
  asked: string[] = [];
  answers: { give(value: unknown): void; fail(e: Error): void }[] = [];

  jobKernels = () => this._ask<JobKernelList>('list');
  startKernel = () => this._ask<JobKernel>('start');
  keepKernel = (id: string) => this._ask<JobKernel>(`keep ${id}`);
  stopKernel = (id: string) => this._ask<void>(`stop ${id}`);
  removeKernel = (id: string) => this._ask<void>(`remove ${id}`);

  async give(value?: unknown): Promise<void> {
    this.answers.shift()!.give(value);
    await settled();
  }

  async fail(message: string): Promise<void> {
    this.answers.shift()!.fail(new Refusal(message));
    await settled();
  }

  private _ask<T>(question: string): Promise<T> {
    this.asked.push(question);
    return new Promise<T>((give, fail) =>
      this.answers.push({ give: value => give(value as T), fail })
    );
  }
}

let api: HandFed;
let time: number;
let jobs: JobKernels;

beforeEach(() => {
  api = new HandFed();
  time = 0;
  jobs = new JobKernels(api, () => time);
});

const told = (server_time: number, ...kernels: JobKernel[]) => ({
  kernels,
  server_time
});
const states = () => jobs.list?.map(one => `${one.id} ${one.state}`);

test('what the first answer tells is there, and what an event tells replaces it', async () => {
  assert.equal(jobs.list, null);
  void jobs.refresh();
  await api.give(told(10, makeKernel({ state: 'pending' })));
  assert.deepEqual(states(), ['k1 pending']);
  jobs.take(told(11, makeKernel()));
  assert.deepEqual(states(), ['k1 running']);
  assert.equal(jobs.find('k1')?.node, 'gpu01');
  assert.equal(jobs.find('k2'), null);
  assert.equal(jobs.find(undefined), null);
});

test('an answer that an event overtook tells nothing, nor does an event that an answer overtook', async () => {
  void jobs.refresh();
  jobs.take(told(20, makeKernel()));
  await api.give(told(19, makeKernel({ state: 'pending' })));
  assert.deepEqual(states(), ['k1 running']);
  jobs.take(told(18));
  assert.deepEqual(states(), ['k1 running']);
});

test('a server whose clock was put back is believed when it is asked', async () => {
  jobs.take(told(5000, makeKernel()));
  void jobs.refresh();
  await api.give(told(10));
  assert.deepEqual(states(), []);
});

test('one that was started is there at once, and stays while older news comes in', async () => {
  jobs.take(told(10, makeKernel({ id: 'k0' })));
  const start = { name: 'python3', request: { preset: 'gpu' }, path: 'work' };
  const started = jobs.start(start);
  await api.give(makeKernel({ state: 'submitted' }));
  assert.equal((await started).id, 'k1');
  assert.deepEqual(states(), ['k1 submitted', 'k0 running']);
  jobs.take(told(11, makeKernel({ id: 'k0' })));
  assert.deepEqual(states(), ['k1 submitted', 'k0 running']);
  await api.give(told(12, makeKernel(), makeKernel({ id: 'k0' })));
  assert.deepEqual(states(), ['k1 running', 'k0 running']);
});

test('a look that began before an order was carried out tells nothing', async () => {
  jobs.take(told(10));
  void jobs.refresh();
  void jobs.start({ name: 'python3', request: {}, path: '' });
  // The order is answered first.
  api.answers.pop()!.give(makeKernel({ state: 'submitted' }));
  await settled();
  await api.give(told(11));
  assert.deepEqual(states(), ['k1 submitted']);
});

test('a refused order is told beside its kernel, until the next one', async () => {
  jobs.take(told(10, makeKernel()));
  void jobs.keep(makeKernel());
  await api.fail('It does not answer.');
  assert.equal(jobs.refusal('k1'), 'It does not answer.');
  void jobs.keep(makeKernel());
  assert.equal(jobs.refusal('k1'), null);
  await api.give(makeKernel({ idle: { after: 3600, ends: null } }));
  assert.equal(jobs.refusal('k1'), null);
});

test('one that is to end is marked until it has, or the order was refused', async () => {
  jobs.take(told(10, makeKernel()));
  void jobs.stop(makeKernel());
  assert.ok(jobs.isGoing('k1'));
  await api.give();
  assert.ok(jobs.isGoing('k1'));
  await api.give(told(11, makeKernel({ state: 'ended' })));
  assert.equal(jobs.isGoing('k1'), false);
  assert.ok(jobs.wasEndedHere('k1'));
  void jobs.remove(makeKernel());
  await api.fail('No.');
  assert.equal(jobs.isGoing('k1'), false);
  assert.equal(jobs.wasEndedHere('k1'), false);
  assert.deepEqual(api.asked, ['stop k1', 'list', 'remove k1', 'list']);
});

test('it is asked again when nothing is heard of one that lives, or the last look failed', async () => {
  jobs.take(told(10, makeKernel()));
  time = 15;
  jobs.tick();
  assert.deepEqual(api.asked, []);
  time = 21;
  jobs.tick();
  jobs.tick();
  assert.deepEqual(api.asked, ['list']);
  await api.fail('Your server does not answer.');
  assert.equal(jobs.problem, 'Your server does not answer.');
  time = 50;
  jobs.tick();
  await api.give(told(60, makeKernel({ state: 'ended' })));
  assert.equal(jobs.problem, null);
  time = 500;
  jobs.tick();
  assert.equal(api.asked.length, 2, 'nothing lives');
});

test("time left is counted by the server's clock", () => {
  jobs.take(told(Date.now() / 1000 + 600, makeKernel()));
  assert.ok(Math.abs(jobs.now - Date.now() / 1000 - 600) < 5);
});
