/** The shapes of the JSON that tells of kernels as jobs; contract.ts has those of all else. */

import type { IOutput } from '@jupyterlab/nbformat';

import type { ClusterState, Request, Use, Value } from './contract.ts';

/** What a person chose: a preset of the site, and what differs from it; by field name, with `preset` among them. */
export type Chosen = Record<string, Value>;

/** A kernel that is a job of its own; times in epoch seconds of the server's clock, memory in bytes. */
export interface JobKernel {
  /** Jupyter's own id of the kernel. */
  id: string;
  tag: string | null;
  job_id: string | null;
  /** The kernelspec's name, and the one for people. */
  name: string;
  label: string;
  /** The notebook, or null where there is none yet. */
  path: string | null;
  state: ClusterState;
  /** Why it waits. */
  reason: string | null;
  /** Why it ended. */
  cause: string | null;
  /** The scheduler's own text. */
  detail: string | null;
  /** While it waits, when it is expected to start, and its place in the queue. */
  expected: number | null;
  place: number | null;
  node: string | null;
  asked: number;
  started: number | null;
  ends: number | null;
  /** What became of what was chosen; null until that is known, as the line of hardware that says it. */
  request: Request | null;
  chosen: Chosen;
  hardware: string | null;
  execution: 'starting' | 'idle' | 'busy' | null;
  /** Since when its node does not answer. */
  silent_since: number | null;
  /** The rule that ends it for want of work: after so many seconds; `ends` is null while it is not warned. */
  idle: { after: number; ends: number | null } | null;
  /** When and why a kernel ended there though nobody told it to; another one was started in its job. */
  death: { at: number; cause: string } | null;
  /** The last mark before its end that was passed, in seconds. */
  warning: number | null;
  /** Why it is about to be ended. */
  ending: 'idle' | 'time' | null;
  /** The function that runs before the end; held: a call into other code keeps it from beginning. */
  hook: { state: 'running' | 'done' | 'failed' | 'held'; text: string } | null;
  use: Use | null;
  gpus: string | null;
  gpu_seconds: GpuSeconds | null;
  /** The last lines, once ended. */
  log: string | null;
  /** It has ended, and what its cells printed is recorded, but in no saved notebook yet. */
  unsaved: boolean;
}

/** All of a person's, by the route and by the event alike. */
export interface JobKernelList {
  kernels: JobKernel[];
  server_time: number;
}

/** What starts one: the kernelspec's name, what was chosen, and the notebook or the folder that it is for. */
export interface KernelStart {
  name: string;
  request: Chosen;
  path: string;
}

/** GPU-seconds; `unknown` are those held of which nobody knows whether they were used. */
export interface GpuSeconds {
  held: number;
  used: number;
  /** Missing where it is told by an agent of an earlier version. */
  unknown?: number;
}

/** What this person's jobs held and used of GPUs in a month; the project may have no name. */
export interface GpuTime {
  /** Such as `2026-11`. */
  month: string;
  projects: ({ project: string } & GpuSeconds)[];
}

/** What one execution printed: the last one of its cell. Times in epoch seconds. */
export interface Run {
  msg_id: string;
  session: string;
  cell: string | null;
  state: 'running' | 'done';
  execution_count: number | null;
  outputs: IOutput[];
  /** Bytes left out, the oldest first. */
  dropped: number;
  began: number;
  ended: number | null;
  /** Its kernel ended before it. */
  broken: boolean;
}
