/** The shapes of the JSON that the server extension answers with; `api.ts` fetches it. */

/** What a request may be made of: a number (bytes, seconds, a count) or the value of a choice. */
export type Value = number | string;

/** A partial request, by field name; what is absent is the default preset's. */
export type Request = Record<string, Value>;

/** One row of the one table of fields. */
export interface Field {
  name: string;
  type: 'integer' | 'bytes' | 'seconds' | 'choice';
  label: string;
  /** Slurm's own word. */
  term: string;
  help: string;
  default: Value | null;
}

/** A named request. */
export interface Preset {
  name: string;
  label: string;
  /** One line of hardware, for a person. */
  hardware: string;
  request: Request;
  /** Why it cannot be had, or null. */
  disabled: string | null;
}

/** The least and the most of a field, in bytes, seconds or as a count; null: not limited. */
export interface Limit {
  min?: number | null;
  max?: number | null;
}

export interface Choice {
  value: string;
  label: string;
}

/** What this person may ask for here. */
export interface Offer {
  version: number;
  person: string;
  site: string;
  scheduler: string;
  fields: Field[];
  presets: Preset[];
  default_preset: string;
  limits: Record<string, Limit>;
  choices: Record<string, Choice[]>;
}

export type ClusterState =
  'submitted' | 'pending' | 'starting' | 'running' | 'ended';

export type WorkerState =
  'submitted' | 'pending' | 'starting' | 'connected' | 'ended';

export interface Worker {
  name: string;
  state: WorkerState;
  reason: string | null;
  node: string | null;
  /** Bytes. */
  memory: number | null;
  /** Bytes. */
  memory_limit: number | null;
  /** Per cent of one CPU. */
  cpu: number | null;
  gpus: string | null;
}

/** A Dask cluster; times in epoch seconds, memory in bytes. */
export interface Cluster {
  id: string;
  name: string;
  state: ClusterState;
  /** Why it waits. */
  reason: string | null;
  /** Why it ended. */
  cause: string | null;
  /** The scheduler's own text. */
  detail: string | null;
  node: string | null;
  started: number | null;
  ends: number | null;
  workers: { wanted: number; connected: number; rows: Worker[] };
  memory: number;
  memory_limit: number;
  tasks: {
    processing: number;
    waiting: number;
    memory: number;
    erred: number;
  };
  /** What each worker was asked with. */
  request: Request;
  job_id: string | null;
  /** The last lines, once ended. */
  log: string | null;
}

/** What starts a cluster. */
export interface Start {
  name?: string;
  workers: number;
  request: Request;
}
