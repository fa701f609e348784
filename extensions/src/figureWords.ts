/** A cluster's figures in words: what it uses, how far it is, where its memory went, and what it took. */

import type { Cluster, Figures, Progress, Spent, Worker } from './contract.ts';
import { showBytes, showShare } from './quantity.ts';
import type { Words } from './words.ts';

/** The share of all memory above which it is told that it does not hold results. */
const MUCH = 0.4;

/** The share of memory from which on it is nearly full. */
const FULL = 0.85;

/** Something used of what there is: `share` from 0 to 1 for a bar, `text` for a person. */
export interface Gauge {
  label: string;
  share: number;
  text: string;
  /** Whether it is memory that is nearly full, as the text says too. */
  isFull?: boolean;
}

/** Memory, CPU and, where there are any that say something, GPUs. */
export function gauges(cluster: Cluster, trans: Words): Gauge[] {
  const { memory, memory_limit, figures } = cluster;
  const found: Gauge[] = [];
  if (memory_limit) {
    found.push(memoryGauge(trans.__('Memory'), memory, memory_limit, trans));
  }
  if (figures?.cpus) {
    const used = figures.cpu / 100;
    found.push({
      label: trans.__('CPU'),
      share: share(used, figures.cpus),
      text: trans.__('%1 of %2', decimal(used), figures.cpus)
    });
  }
  return figures ? [...found, ...gpuGauges(figures, trans)] : found;
}

function gpuGauges({ gpus }: Figures, trans: Words): Gauge[] {
  const all = Object.values(gpus);
  const busy = all.flatMap(one => one.busy ?? []);
  const sized = all.filter(one => one.memory !== null && one.memory_limit);
  const found: Gauge[] = [];
  if (busy.length) {
    const mean = busy.reduce((sum, one) => sum + one, 0) / busy.length;
    found.push({
      label: trans.__('GPU'),
      share: share(mean, 1),
      text: trans._n(
        'busy %2 %',
        '%1 GPUs, busy %2 %',
        busy.length,
        Math.round(100 * mean)
      )
    });
  }
  if (sized.length) {
    const used = sized.reduce((sum, one) => sum + (one.memory ?? 0), 0);
    const limit = sized.reduce((sum, one) => sum + (one.memory_limit ?? 0), 0);
    found.push(memoryGauge(trans.__('GPU memory'), used, limit, trans));
  }
  return found;
}

function memoryGauge(
  label: string,
  used: number,
  limit: number,
  trans: Words
): Gauge {
  const isFull = share(used, limit) > FULL;
  const [left, right] = showShare(used, limit);
  return {
    label,
    share: share(used, limit),
    text: isFull
      ? trans.__('%1 of %2, nearly full', left, right)
      : trans.__('%1 of %2', left, right),
    isFull
  };
}

/** Whether a computation is on its way, so that its progress is worth a bar. */
export function runs(progress: Progress | null): progress is Progress {
  return progress !== null && progress.done < progress.all;
}

/** How far a computation is, and how fast: `12 of 40 tasks done, 5.3 per second`. */
export function progressLine(figures: Figures, trans: Words): string {
  const { progress, rate } = figures;
  if (!progress) {
    return '';
  }
  const done = trans._n(
    '%2 of %1 task done',
    '%2 of %1 tasks done',
    progress.all,
    progress.done
  );
  return rate && runs(progress)
    ? trans.__('%1, %2 per second', done, decimal(rate))
    : done;
}

/** What somebody should know of where the memory went, in sentences; none where all is well, or is told as a trouble. */
export function memoryLines(cluster: Cluster, trans: Words): string[] {
  const { figures, memory_limit, troubles } = cluster;
  const told = troubles.map(one => one.kind);
  const lines: string[] = [];
  if (figures?.spilled && !told.includes('spilling')) {
    lines.push(
      trans.__(
        '%1 of results were written to disk because memory was full. They are read back when needed, which is slower.',
        showBytes(figures.spilled)
      )
    );
  }
  if (
    figures &&
    figures.unmanaged > MUCH * memory_limit &&
    !told.includes('unmanaged')
  ) {
    lines.push(
      trans.__(
        '%1 of memory hold no results, but Python, libraries and what running functions need (unmanaged memory).',
        showBytes(figures.unmanaged)
      )
    );
  }
  return lines;
}

/** What the workers took so far, in the start form's unit where that counts them: `Cost so far: 1.5 GPU-hours`. */
export function spentLine(spent: Spent | null, trans: Words): string {
  if (!spent) {
    return '';
  }
  return spent.gpu_seconds
    ? trans.__('Cost so far: %1 GPU-hours', hours(spent.gpu_seconds, 2, trans))
    : trans.__('Used so far: %1 CPU-hours', hours(spent.cpu_seconds, 1, trans));
}

/** What an ended cluster took, or an empty string where it could not say. */
export function tookLine(spent: Spent | null, trans: Words): string {
  if (!spent) {
    return '';
  }
  return spent.gpu_seconds
    ? trans.__('It took %1 GPU-hours.', hours(spent.gpu_seconds, 2, trans))
    : trans.__('It took %1 CPU-hours.', hours(spent.cpu_seconds, 1, trans));
}

/** What one worker uses. */
export function workerFigures(
  worker: Worker,
  figures: Figures | null,
  trans: Words
): string[] {
  const parts = [];
  if (worker.memory !== null && worker.memory_limit) {
    const [used, all] = showShare(worker.memory, worker.memory_limit);
    parts.push(trans.__('%1 of %2', used, all));
  }
  if (worker.cpu !== null) {
    parts.push(trans.__('CPU %1 %', Math.round(worker.cpu)));
  }
  if (worker.gpus) {
    parts.push(trans.__('GPU %1', worker.gpus));
  }
  const gpu = figures?.gpus[worker.name];
  if (gpu && gpu.busy !== null) {
    parts.push(trans.__('busy %1 %', Math.round(100 * gpu.busy)));
  }
  if (gpu && gpu.memory !== null && gpu.memory_limit) {
    const [used, all] = showShare(gpu.memory, gpu.memory_limit);
    parts.push(trans.__('%1 of %2 of its memory', used, all));
  }
  return parts;
}

/** Seconds as hours with so many decimals, which are as new as they are told: `2`, `0.5`, `1,204`. */
export function hours(seconds: number, decimals: number, trans: Words): string {
  const value = seconds / 3600;
  const least = 1 / 10 ** decimals;
  if (value < least) {
    return trans.__('less than %1', least);
  }
  return value >= 100
    ? Math.round(value).toLocaleString('en')
    : String(Number(value.toFixed(decimals)));
}

function decimal(value: number): string {
  return value >= 10
    ? Math.round(value).toLocaleString('en')
    : String(Number(value.toFixed(1)));
}

function share(used: number, all: number): number {
  return Math.min(1, Math.max(0, used / all));
}
