/** Views of clusters between people: the shapes that the server answers with, and what they are in words and lines. */

import type { Cluster, Figures, Worker } from './contract.ts';
import type { Words } from './words.ts';

/** Who sees one of my clusters; times in epoch seconds. */
export interface Share {
  people: string[];
  teams: string[];
  until: number;
  /** Who looked, and when last; the newest at the end. */
  looked: { name: string; at: number }[];
  /** Why it is not shown at the moment, or null. */
  problem: string | null;
}

/** One that is shown to me. */
export interface SharedItem {
  owner: string;
  cluster: string;
  name: string;
  state: Cluster['state'];
  until: number;
  /** When its owner's server told of it last. */
  told: number;
}

/** How a cluster as a whole went: bytes, per cent of one CPU, tasks per second. */
export interface Sample {
  at: number;
  memory: number;
  cpu: number;
  rate: number | null;
}

/** What there is to see of it. */
export interface SharedView {
  owner: string;
  cluster: string;
  until: number;
  told: number;
  server_time: number;
  view: Pick<
    Cluster,
    | 'name'
    | 'state'
    | 'reason'
    | 'cause'
    | 'expected'
    | 'place'
    | 'node'
    | 'started'
    | 'ends'
    | 'memory'
    | 'memory_limit'
    | 'tasks'
    | 'troubles'
  > & {
    workers: Omit<Cluster['workers'], 'rows'> & {
      rows: Omit<Worker, 'job_id' | 'log'>[];
    };
    figures: Omit<Figures, 'gpus'> | null;
    history: Sample[];
  };
}

/** What starts a share. */
export interface Sharing {
  people: string[];
  teams: string[];
  seconds: number;
}

const HOUR = 3600;
/** Seconds without news after which a view is called old; they come each 10 s. */
const OLD = 45;

/** For how long, in seconds, and what that is called. */
export function spans(trans: Words): { value: number; label: string }[] {
  return [
    { value: HOUR, label: trans.__('1 hour') },
    { value: 8 * HOUR, label: trans.__('8 hours') },
    { value: 24 * HOUR, label: trans.__('1 day') },
    { value: 7 * 24 * HOUR, label: trans.__('7 days') }
  ];
}

/** The names in a line that somebody typed, each once: by commas, semicolons or spaces. */
export function readNames(text: string): string[] {
  return [...new Set(text.split(/[\s,;]+/).filter(Boolean))];
}

/** `Seen by vision, bob until 16:05`; `clock` shows a time of day. */
export function shareLine(
  share: Pick<Share, 'people' | 'teams' | 'until'>,
  trans: Words,
  clock: (time: number) => string
): string {
  const who = [...share.teams, ...share.people].join(', ');
  return trans.__('Seen by %1 until %2', who, clock(share.until));
}

/** Who looked and when, or that nobody did. */
export function lookedLine(
  share: Share,
  trans: Words,
  clock: (time: number) => string
): string {
  const who = share.looked
    .map(one => trans.__('%1 at %2', one.name, clock(one.at)))
    .reverse();
  return who.length
    ? trans.__('Looked last: %1', who.join(', '))
    : trans.__('Nobody has looked yet.');
}

/** That a view is old, and since when, or an empty string. */
export function ageLine(
  shared: SharedView,
  trans: Words,
  clock: (time: number) => string
): string {
  const over = shared.view.state === 'ended';
  return !over && shared.server_time - shared.told > OLD
    ? trans.__(
        'Not updated since %1: the Lab of %2 does not answer.',
        clock(shared.told),
        shared.owner
      )
    : '';
}

/** Somebody else's cluster as the panel draws clusters; what is not shown is not there. */
export function clusterOf(shared: SharedView): Cluster {
  const { view } = shared;
  return {
    ...view,
    id: `${shared.owner}/${shared.cluster}`,
    detail: null,
    workers: {
      ...view.workers,
      rows: view.workers.rows.map(row => ({ ...row, job_id: null, log: null }))
    },
    figures: view.figures && { ...view.figures, gpus: {} },
    spent: null,
    idle: null,
    request: {},
    lasts: null,
    job_id: null,
    shared: null,
    log: null,
    kernel: null,
    software: null
  };
}

/** The corners of a line through values, for a box of this size: the last at the right, the most at the top. */
export function linePoints(
  values: number[],
  most: number,
  width: number,
  height: number
): string {
  const step = width / Math.max(1, values.length - 1);
  return values
    .map((value, at) => {
      const share = most > 0 ? Math.min(1, Math.max(0, value / most)) : 0;
      return `${(at * step).toFixed(1)},${(height * (1 - share)).toFixed(1)}`;
    })
    .join(' ');
}
