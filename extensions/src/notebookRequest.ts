/** What a notebook remembers of its kernel's job, in its metadata: only what was chosen, for its kernelspec stands there anyway. */

import type { Chosen } from './kernelContract.ts';

/** The key of all that Shopfloor keeps in a notebook. */
export const KEY = 'shopfloor';

/** What the kernel was asked with the last time; null where it runs here, or the metadata is of another shape. */
export function chosenIn(metadata: unknown): Chosen | null {
  const request = inside(inside(metadata, 'kernel'), 'request');
  if (!isObject(request)) {
    return null;
  }
  const values = Object.entries(request).filter(
    (entry): entry is [string, string | number] =>
      typeof entry[1] === 'string' || typeof entry[1] === 'number'
  );
  return Object.fromEntries(values);
}

/** The metadata with that, or without; undefined: there is nothing left to keep. */
export function withChosen(
  metadata: unknown,
  chosen: Chosen | null
): Record<string, unknown> | undefined {
  const all = isObject(metadata) ? { ...metadata } : {};
  const kernel = isObject(all.kernel) ? { ...all.kernel } : {};
  delete kernel.request;
  delete all.kernel;
  const kept = chosen ? { ...kernel, request: chosen } : kernel;
  if (Object.keys(kept).length) {
    all.kernel = kept;
  }
  return Object.keys(all).length ? all : undefined;
}

function inside(value: unknown, name: string): unknown {
  return isObject(value) ? value[name] : undefined;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
