/** What the tests share: words without translation, an offer and a cluster to start from. */

import type { Cluster, Figures, Offer } from '../contract.ts';
import type { JobKernel } from '../kernelContract.ts';
import type { Timer } from '../timer.ts';
import type { Words } from '../words.ts';

export const GB = 1024 ** 3;

/** Resolves when the promises that wait on an answer have run. */
export const settled = () => new Promise(resolve => setImmediate(resolve));

/** A timer that never calls back. */
export const noTimer: Timer = () => () => undefined;

/** A stream whose events are told by hand; null is a sign of life. */
export class HandStream<Event> {
  private _told: (Event | null | Error | 'end')[] = [];
  private _wake: () => void = () => undefined;

  tell(event: Event | null): void {
    this._add(event);
  }

  fail(error: Error): void {
    this._add(error);
  }

  end(): void {
    this._add('end');
  }

  async *read(): AsyncGenerator<Event | null, void, undefined> {
    for (;;) {
      const told = this._told.shift();
      if (told === undefined) {
        await new Promise<void>(resolve => (this._wake = resolve));
      } else if (told === 'end') {
        return;
      } else if (told instanceof Error) {
        throw told;
      } else {
        yield told;
      }
    }
  }

  private _add(told: Event | null | Error | 'end'): void {
    this._told.push(told);
    this._wake();
  }
}

const fill = (text: string, values: unknown[]) =>
  text.replace(/%(\d)/g, (_, at) => String(values[Number(at) - 1]));

/** English, filled in as Lab's translation bundle does it. */
export const english: Words = {
  __: (text, ...values) => fill(text, values),
  _n: (one, many, count, ...values) =>
    fill(count === 1 ? one : many, [count, ...values])
};

/** An offer as the hub makes it: the second preset leaves the time to the field's default. */
export function makeOffer(): Offer {
  return {
    version: 1,
    person: 'alice',
    site: 'Aurora',
    scheduler: 'slurm',
    fields: [
      {
        name: 'cpus',
        type: 'integer',
        label: 'CPUs',
        term: 'cpus-per-task',
        help: '',
        default: 1
      },
      {
        name: 'memory',
        type: 'bytes',
        label: 'Memory',
        term: 'mem',
        help: '',
        default: 2 * GB
      },
      {
        name: 'nodes',
        type: 'integer',
        label: 'Nodes',
        term: 'nodes',
        help: '',
        default: 1
      },
      {
        name: 'time',
        type: 'seconds',
        label: 'Time limit',
        term: 'walltime',
        help: '',
        default: 7200
      },
      {
        name: 'partition',
        type: 'choice',
        label: 'Hardware',
        term: 'partition',
        help: '',
        default: ''
      },
      {
        name: 'account',
        type: 'choice',
        label: 'Project',
        term: 'account',
        help: '',
        default: ''
      },
      {
        name: 'qos',
        type: 'choice',
        label: 'Priority class',
        term: 'QOS',
        help: '',
        default: ''
      }
    ],
    presets: [
      {
        name: 'small',
        label: 'Small CPU',
        hardware: '1 CPU, 2 GB for 1 h',
        request: { cpus: 1, memory: 2 * GB, time: 3600, partition: 'cpu' },
        disabled: null
      },
      {
        name: 'gpu',
        label: 'One GPU',
        hardware: '1 GPU, 4 CPUs, 16 GB for 2 h',
        request: { cpus: 4, memory: 16 * GB },
        disabled: null
      },
      {
        name: 'whole',
        label: 'Whole node',
        hardware: '64 CPUs',
        request: { cpus: 64 },
        disabled: 'CPUs: at most 8 here'
      }
    ],
    default_preset: 'small',
    limits: {
      cpus: { min: 1, max: 8 },
      memory: { min: GB / 16, max: 16 * GB },
      nodes: { min: 1, max: 1 },
      time: { min: 60, max: null }
    },
    choices: {
      partition: [
        { value: 'cpu', label: 'CPU nodes' },
        { value: 'gpu', label: 'GPU nodes' }
      ],
      account: [{ value: 'genomics', label: 'Genomics' }],
      qos: []
    }
  };
}

/** A running cluster of two connected workers; `changes` replace its values. */
export function makeCluster(changes: Partial<Cluster> = {}): Cluster {
  return {
    id: 'c1',
    name: 'flights',
    state: 'running',
    reason: null,
    cause: null,
    detail: null,
    expected: null,
    place: null,
    node: 'cpu01',
    started: 1000,
    ends: 8200,
    workers: {
      wanted: 2,
      connected: 2,
      adapt: null,
      rows: [makeWorker('connected'), makeWorker('connected')]
    },
    memory: GB,
    memory_limit: 4 * GB,
    tasks: { processing: 0, waiting: 0, memory: 0, erred: 0 },
    figures: null,
    spent: null,
    troubles: [],
    request: {},
    lasts: null,
    job_id: '17',
    shared: null,
    log: null,
    idle: null,
    kernel: 'python3',
    software: 'Python 3',
    ...changes
  };
}

/** Figures of an idle cluster of two workers with two CPUs each. */
export function makeFigures(changes: Partial<Figures> = {}): Figures {
  return {
    cpu: 4,
    cpus: 4,
    results: 0,
    spilled: 0,
    unmanaged: GB / 4,
    rate: 0,
    progress: null,
    gpus: {},
    ...changes
  };
}

export function makeWorker(
  state: Cluster['workers']['rows'][number]['state'],
  reason: string | null = null
): Cluster['workers']['rows'][number] {
  return {
    name: 'worker',
    state,
    reason,
    expected: null,
    place: null,
    since: null,
    node: state === 'connected' ? 'cpu02' : null,
    job_id: null,
    exit: null,
    log: null,
    tries: 1,
    memory: null,
    memory_limit: null,
    cpu: null,
    gpus: null
  };
}

/** A running kernel of a notebook, two hours before its end at 8200; `changes` replace its values. */
export function makeKernel(changes: Partial<JobKernel> = {}): JobKernel {
  return {
    id: 'k1',
    tag: 't1',
    job_id: '18',
    name: 'python3',
    label: 'Python 3',
    path: 'work/train.ipynb',
    state: 'running',
    reason: null,
    cause: null,
    detail: null,
    expected: null,
    place: null,
    node: 'gpu01',
    asked: 900,
    started: 1000,
    ends: 8200,
    request: {},
    chosen: { preset: 'gpu' },
    hardware: '1 A100, 8 CPUs, 32 GB for 2 h',
    execution: 'idle',
    silent_since: null,
    idle: { after: 3600, ends: null },
    death: null,
    warning: null,
    ending: null,
    hook: null,
    use: null,
    gpus: '0',
    gpu_seconds: null,
    log: null,
    unsaved: false,
    ...changes
  };
}
