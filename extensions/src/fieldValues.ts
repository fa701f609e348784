/** The offer's fields as values: what was typed, what a preset means, and what an input shows; form.ts makes forms of them. */

import type {
  Field,
  Limit,
  Offer,
  Preset,
  Request,
  Value
} from './contract.ts';
import {
  parseBytes,
  parseSeconds,
  showBytes,
  showSeconds,
  writeBytes,
  writeSeconds
} from './quantity.ts';
import type { Words } from './words.ts';

/** Sentences to show, by field name; `name`, `workers`, `preset` and `kernel` are fields of the form too. */
export type Problems = Record<string, string>;

/** The preset that is chosen when nobody chose. */
export function defaultPreset(offer: Offer): Preset {
  const preset = offer.presets.find(one => one.name === offer.default_preset);
  return preset ?? offer.presets[0];
}

/** A preset in full: what it leaves out is the field's default, not the default preset's value. */
export function presetRequest(offer: Offer, preset: Preset): Request {
  const standard = defaultPreset(offer).request;
  const request: Request = {};
  for (const field of offer.fields) {
    if (field.name in preset.request || field.name in standard) {
      request[field.name] = standardValue(field, preset.request);
    }
  }
  return request;
}

/** The request that was typed; what is wrong with it goes into `problems`. */
export function readFields(
  offer: Offer,
  typed: Record<string, string>,
  problems: Problems,
  trans: Words
): Request {
  const standard = defaultPreset(offer).request;
  const request: Request = {};
  for (const field of offer.fields) {
    const text = typed[field.name];
    if (text === undefined) {
      continue;
    }
    const value = readValue(field, text);
    if (value === null) {
      problems[field.name] = malformed(field, trans);
      continue;
    }
    const outside = outsideLimit(field, value, offer.limits[field.name], trans);
    if (outside) {
      problems[field.name] = outside;
    } else if (value !== standardValue(field, standard)) {
      // What is absent is the default preset's, and the server may then fit the rest around it.
      request[field.name] = value;
    }
  }
  return request;
}

function readValue(field: Field, text: string): Value | null {
  switch (field.type) {
    case 'choice':
      return text;
    case 'bytes':
      return parseBytes(text);
    case 'seconds':
      return parseSeconds(text);
    case 'integer':
      return /^\d{1,9}$/.test(text.trim()) ? Number(text) : null;
  }
}

function malformed(field: Field, trans: Words): string {
  switch (field.type) {
    case 'bytes':
      return trans.__('%1: a size such as 4 GB or 512 MB.', field.label);
    case 'seconds':
      return trans.__('%1: a time such as 2 h, 1:30 h or 45 min.', field.label);
    default:
      return trans.__('%1: a whole number.', field.label);
  }
}

function outsideLimit(
  field: Field,
  value: Value,
  limit: Limit | undefined,
  trans: Words
): string | null {
  if (typeof value !== 'number') {
    return null;
  }
  const { min, max } = limit ?? {};
  if (typeof min === 'number' && value < min) {
    return trans.__('%1: at least %2.', field.label, showValue(field, min));
  }
  if (typeof max === 'number' && value > max) {
    return trans.__('%1: at most %2.', field.label, showValue(field, max));
  }
  return null;
}

/** A value for reading. */
export function showValue(field: Field, value: number): string {
  return field.type === 'bytes'
    ? showBytes(value)
    : field.type === 'seconds'
      ? showSeconds(value)
      : String(value);
}

/** A field's value in a request, or its default. */
export function standardValue(field: Field, request: Request): Value {
  return request[field.name] ?? field.default ?? '';
}

/** What the inputs hold for a request. */
export function writeFields(
  offer: Offer,
  request: Request
): Record<string, string> {
  const written: Record<string, string> = {};
  for (const field of offer.fields) {
    const value = standardValue(field, request);
    written[field.name] =
      typeof value === 'number' && field.type === 'bytes'
        ? writeBytes(value)
        : typeof value === 'number' && field.type === 'seconds'
          ? writeSeconds(value)
          : String(value);
  }
  return written;
}

/** Whether two requests ask for the same. */
export function isSame(offer: Offer, left: Request, right: Request): boolean {
  return offer.fields.every(
    field => standardValue(field, left) === standardValue(field, right)
  );
}
