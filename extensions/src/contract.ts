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
  /** Whether it is the person's own, who may delete it. */
  own?: true;
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

/** A lost one was connected and does not answer; a failed one ended before it was connected. */
export type WorkerState =
  | 'requested'
  | 'submitted'
  | 'pending'
  | 'starting'
  | 'connected'
  | 'lost'
  | 'failed'
  | 'ended';

export interface Worker {
  name: string;
  state: WorkerState;
  /** Why it waits or ended, or why its process had to be started again. */
  reason: string | null;
  /** When it is expected to start, in epoch seconds. */
  expected: number | null;
  /** Its place in the queue. */
  place: number | null;
  /** Since when a lost one is silent, in epoch seconds. */
  since: number | null;
  node: string | null;
  job_id: string | null;
  /** Exit code of one that is over. */
  exit: number | null;
  /** The last lines of one that is over. */
  log: string | null;
  /** How many workers stood in this place, this one included. */
  tries: number;
  /** Bytes. */
  memory: number | null;
  /** Bytes. */
  memory_limit: number | null;
  /** Per cent of one CPU. */
  cpu: number | null;
  gpus: string | null;
}

/** Between so many workers, as there is work for them. */
export interface Range {
  minimum: number;
  maximum: number;
}

/** How many tasks are done of those asked for since nothing ran; the kinds of task with the most to do come first. */
export interface Progress {
  done: number;
  all: number;
  groups: { name: string; done: number; all: number }[];
}

/** What a running cluster uses, all workers together; memory in bytes. */
export interface Figures {
  /** Per cent of one CPU. */
  cpu: number;
  cpus: number;
  /** Results that Dask keeps in memory. */
  results: number;
  /** What it wrote to disk, because memory was full. */
  spilled: number;
  /** Memory of Python, libraries and running functions. */
  unmanaged: number;
  /** Tasks finished per second of the last ten or so; null while nobody has counted for long enough. */
  rate: number | null;
  /** Null before anything ran. */
  progress: Progress | null;
  /** By worker; `busy` is the share of time in which it computes, 0 to 1, and null is what is not told. */
  gpus: Record<
    string,
    { busy: number | null; memory: number | null; memory_limit: number | null }
  >;
}

/** What the jobs of the workers took so far. */
export interface Spent {
  cpu_seconds: number;
  gpu_seconds: number;
}

/** What goes wrong on a cluster: one sentence, the next step, and since when in epoch seconds. */
export interface Trouble {
  kind: string;
  text: string;
  next: string;
  since: number;
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
  /** While it waits, when it is expected to start, in epoch seconds, and its place in the queue. */
  expected: number | null;
  place: number | null;
  node: string | null;
  started: number | null;
  ends: number | null;
  workers: {
    wanted: number;
    connected: number;
    /** Set where their number follows the work. */
    adapt: Range | null;
    rows: Worker[];
  };
  memory: number;
  memory_limit: number;
  tasks: {
    processing: number;
    waiting: number;
    memory: number;
    erred: number;
  };
  /** The rule that ends it for want of work: after so many seconds; `ends` is null while it is not warned. */
  idle: { after: number; ends: number | null } | null;
  /** Null where it does not run, or does not answer; as `spent`, which is told at the end too. */
  figures: Figures | null;
  spent: Spent | null;
  /** The worst first. */
  troubles: Trouble[];
  /** What each worker was asked with. */
  request: Request;
  /** How long it was asked to last, in seconds; null: as long as each worker. */
  lasts: number | null;
  job_id: string | null;
  /** Who else may see it, by name, and until when in epoch seconds; null: nobody. */
  shared: { people: string[]; teams: string[]; until: number } | null;
  /** The last lines, once ended. */
  log: string | null;
  /** The kernel in whose environment it runs; null for one of an earlier version. */
  kernel: string | null;
  /** That kernel's name for people. */
  software: string | null;
}

/** What became of a cluster by an order; `server_time` as in `ClusterEvent`, when that was so. */
export type Ordered = Cluster & { server_time: number };

/**
 * What `clusters/events` tells, each a line of JSON: at first all clusters, newest first, then of each only the fields
 * that are others now, with all `ids` in order where a cluster came or went. Figures stay as they were told while they
 * are near. `server_time` is when the look at them began, in epoch seconds: what was ordered before is in it.
 */
export type ClusterEvent =
  | { kind: 'all'; clusters: Cluster[]; server_time: number }
  | {
      kind: 'changed';
      /** `rows` instead of `workers` where these are the same ones: of each only the fields that are others. */
      clusters: (Partial<Cluster> & {
        id: string;
        rows?: (Partial<Worker> & { name: string })[];
      })[];
      ids?: string[];
      server_time: number;
    }
  /** Why nothing can be seen now; `all` follows when it can. */
  | { kind: 'trouble'; message: string; server_time: number };

/** One of Dask's own plots, and what people call it. */
export interface Plot {
  name: string;
  title: string;
}

/** What starts a cluster: with so many workers, or with as many as there is work for. */
export interface Start {
  name?: string;
  workers?: number;
  adapt?: Range;
  request: Request;
  /** How long it lasts, in seconds; as long as each worker where it is absent. */
  lasts?: number;
  /** In whose environment it runs; the usual one where it is absent. */
  kernel?: string;
  /** The kernel of the notebook that is to use it, where it is another one. */
  notebook?: string;
}

/** A kernel of Python that the server has. */
export interface Kernel {
  name: string;
  label: string;
  /** The command that starts its Python. */
  python: string;
  /** Whether it is the usual one. */
  default: boolean;
  /** Why no cluster can run in it, or null. */
  disabled: string | null;
}

/** What a kernel's environment has, held against the notebook's. */
export interface Software {
  kernel: string;
  label: string;
  versions: Record<string, string>;
  /** Why the notebook could not use such a cluster, or null. */
  refusal: string | null;
  /** What else differs, in sentences. */
  notes: string[];
}

/** What the start form is drawn from. */
export interface FormParts {
  offer: Offer;
  kernels: Kernel[];
  /** The person's own. */
  presets: Preset[];
}

/** When a cluster's first worker would start, and what all of them cost, in the site's words. */
export interface Outlook {
  cost: string;
  /** What an hour costs. */
  rate: string;
  /** Whether the project has less than that left. */
  too_dear: boolean;
  start: {
    kind: 'now' | 'later' | 'refused' | 'unknown';
    /** Epoch seconds, or null. */
    at: number | null;
    why: string;
    /** Seconds since that was true, or null. */
    ago: number | null;
  };
  /** Whether one would fit into what nobody uses. */
  free: boolean;
  /** How many would; null where nobody knows. */
  room: number | null;
  /** The same in words, by the site's presets. */
  rooms: Record<string, string>;
  /** What lets only so many run at once, in a sentence, or null. */
  cap: string | null;
}

/** The jobs that a start would submit. */
export interface Script {
  scheduler: string;
  jobs: { what: 'worker' | 'cluster'; submit: string; command: string }[];
}

/** One GPU of the job; memory in bytes. */
export interface Gpu {
  name: string;
  /** The share of time in which it computes, 0 to 1; null where it does not say. */
  busy: number | null;
  memory: number;
  memory_limit: number;
}

/** What the job uses: CPUs in cores, memory and disk in bytes; null where it is not known. */
export interface Use {
  cpu: number | null;
  cpu_limit: number;
  memory: number;
  memory_limit: number;
  gpus: Gpu[];
  home_free: number | null;
  home_size: number | null;
}

/** The server's own job; all times are durations in seconds, for this browser's clock may be wrong. */
export interface Session {
  job: string;
  node: string;
  request: Record<string, Value>;
  /** Between two of these. */
  interval: number;
  /** `warning` is the last mark before the end that was passed, or null. */
  time: { left: number; warning: number | null };
  use: Use | null;
  /** What is ended when the memory is not enough. */
  memory_ends: 'server' | 'kernel';
  idle: {
    state: 'off' | 'active' | 'warned' | 'expired';
    /** The server ends after this time without work; 0: never. */
    after: number;
    /** Since something worked. */
    quiet: number;
    /** Until the server ends, or null while it is not warned. */
    left: number | null;
    /** Before that, in which what is not saved is saved. */
    final: number;
  };
}

/** What a server says that was not started as a job. */
export interface NoJob {
  job: null;
}
