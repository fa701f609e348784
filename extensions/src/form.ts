/** The forms that ask for jobs, as values: which fields to show, what was typed, and the request that it makes. */

import type { Field, Limit, Offer, Request, Start } from './contract.ts';
import {
  defaultPreset,
  isSame,
  presetRequest,
  type Problems,
  readFields,
  showValue,
  writeFields
} from './fieldValues.ts';
import type { Chosen } from './kernelContract.ts';
import { parseSeconds, writeSeconds } from './quantity.ts';
import type { Words } from './words.ts';

/** The card beside the presets that unfolds the fields. */
export const CUSTOM = 'custom';

/** The card before the presets of a kernel's form: in JupyterLab's own job. */
export const HERE = 'here';

/** What each form holds: the card and the kernel that were chosen, and text as typed, by field name. */
export interface Picked {
  /** A preset's name, `CUSTOM` or `HERE`. */
  preset: string;
  /** The kernel in whose environment it runs; empty for the server's own. */
  kernel: string;
  fields: Record<string, string>;
}

/** What the form of a cluster holds. */
export interface Inputs extends Picked {
  name: string;
  /** A number, or a range such as `2–8`. */
  workers: string;
  /** How long the cluster lasts; empty: as long as each worker. */
  lasts: string;
}

/** The fields that a person has a choice in; one with a single possible value is not worth a line. */
export function shownFields(offer: Offer): Field[] {
  return offer.fields.filter(field => {
    if (field.type === 'choice') {
      return (offer.choices[field.name] ?? []).length > 1;
    }
    const { min, max } = offer.limits[field.name] ?? {};
    return typeof min !== 'number' || typeof max !== 'number' || min < max;
  });
}

/** The label with the limit inside: `CPUs (1–8)`, `Memory (up to 16 GB)`. */
export function fieldLabel(
  field: Field,
  limit: Limit | undefined,
  trans: Words
): string {
  const { min, max } = limit ?? {};
  if (typeof max !== 'number') {
    return field.label;
  }
  return field.type === 'integer' && typeof min === 'number'
    ? trans.__('%1 (%2–%3)', field.label, min, max)
    : trans.__('%1 (up to %2)', field.label, showValue(field, max));
}

/** The choices of a field; without one that was made, the site decides. */
export function fieldChoices(
  field: Field,
  offer: Offer,
  value: string,
  trans: Words
): { value: string; label: string }[] {
  const offered = (offer.choices[field.name] ?? []).filter(
    choice => choice.value !== ''
  );
  // What was chosen once, and is shown as what it is, can be chosen away.
  const isOffered = !value || offered.some(choice => choice.value === value);
  return [
    { value: '', label: trans.__('Any') },
    ...offered,
    ...(isOffered
      ? []
      : [{ value, label: trans.__('%1 (not offered)', value) }])
  ];
}

/** A fresh form: the default preset, or what an earlier cluster was started with. */
export function inputsFrom(offer: Offer, earlier?: Start): Inputs {
  const preset = defaultPreset(offer);
  if (!earlier) {
    return {
      name: '',
      workers: '2',
      lasts: '',
      preset: preset.name,
      kernel: '',
      fields: writeFields(offer, preset.request)
    };
  }
  const request = { ...preset.request, ...earlier.request };
  const same = offer.presets.find(
    one => !one.disabled && isSame(offer, one.request, request)
  );
  return {
    name: earlier.name ?? '',
    workers: earlier.adapt
      ? `${earlier.adapt.minimum}–${earlier.adapt.maximum}`
      : String(earlier.workers ?? 1),
    lasts: earlier.lasts === undefined ? '' : writeSeconds(earlier.lasts),
    // How long it lasts is said under Custom only.
    preset: (earlier.lasts === undefined && same?.name) || CUSTOM,
    kernel: earlier.kernel ?? '',
    fields: writeFields(offer, request)
  };
}

/** A fresh form for a kernel: the default preset, or what was chosen before; null: that it runs here. */
export function pickedFrom(
  offer: Offer,
  kernel: string,
  chosen?: Chosen | null
): Picked {
  const standard = defaultPreset(offer);
  if (!chosen) {
    const fields = writeFields(offer, standard.request);
    return { preset: chosen === null ? HERE : standard.name, kernel, fields };
  }
  const { preset: name, ...changed } = chosen;
  const named = offer.presets.find(one => one.name === name);
  const request = named
    ? { ...presetRequest(offer, named), ...changed }
    : { ...standard.request, ...changed };
  const same = offer.presets.find(
    one => !one.disabled && isSame(offer, one.request, request)
  );
  return {
    preset: same?.name ?? CUSTOM,
    kernel,
    fields: writeFields(offer, request)
  };
}

/** The form after another card was chosen; `CUSTOM` goes on from the values of the card before. */
export function choosePreset<T extends Picked>(
  offer: Offer,
  inputs: T,
  name: string
): T {
  const preset = offer.presets.find(one => one.name === name);
  return preset
    ? { ...inputs, preset: name, fields: writeFields(offer, preset.request) }
    : { ...inputs, preset: name === HERE ? HERE : CUSTOM };
}

/** The request that was chosen, or the sentences that say what to mend. */
export function requestFrom(
  offer: Offer,
  { preset: name, fields }: Picked,
  trans: Words
): { request: Request } | { problems: Problems } {
  const preset = offer.presets.find(one => one.name === name);
  if (preset?.disabled) {
    return { problems: { preset: preset.disabled } };
  }
  const problems: Problems = {};
  const request = preset
    ? presetRequest(offer, preset)
    : readFields(offer, fields, problems, trans);
  return Object.keys(problems).length ? { problems } : { request };
}

/** What to ask a kernel's job with, a preset of the site's by its name; null: it is to run here. */
export function chosenFrom(
  offer: Offer,
  picked: Picked,
  trans: Words
): { chosen: Chosen | null } | { problems: Problems } {
  if (picked.preset === HERE) {
    return { chosen: null };
  }
  const result = requestFrom(offer, picked, trans);
  if ('problems' in result) {
    return result;
  }
  const preset = offer.presets.find(one => one.name === picked.preset);
  return {
    chosen: preset && !preset.own ? { preset: preset.name } : result.request
  };
}

/** What to send, or the sentences that say what to mend. Limits are the offer's; the server checks again. */
export function startFrom(
  offer: Offer,
  inputs: Inputs,
  trans: Words
): { start: Start } | { problems: Problems } {
  const problems: Problems = {};
  const workers = readWorkers(offer, inputs.workers, problems, trans);
  const result = requestFrom(offer, inputs, trans);
  // Beside presets there is no field for it.
  const lasts =
    inputs.preset === CUSTOM ? readLasts(inputs.lasts, problems, trans) : null;
  if ('problems' in result) {
    return { problems: { ...problems, ...result.problems } };
  }
  if (Object.keys(problems).length || workers === null) {
    return { problems };
  }
  const name = inputs.name.trim();
  return {
    start: {
      ...(name ? { name } : {}),
      ...workers,
      request: result.request,
      ...(lasts === null ? {} : { lasts }),
      ...(inputs.kernel ? { kernel: inputs.kernel } : {})
    }
  };
}

/** Where a refusal by the server belongs in the form of a cluster. */
export function problemsFrom(
  message: string,
  field: string | null,
  offer: Offer,
  inputs: Inputs
): Problems {
  const custom = inputs.preset === CUSTOM;
  const placed = ['workers', 'name', 'kernel', ...(custom ? ['lasts'] : [])];
  if (field === 'minimum' || field === 'maximum' || field === 'adapt') {
    return { workers: message };
  }
  if (field === 'notebook') {
    return { kernel: message };
  }
  return problemsAt(message, field, offer, inputs, placed);
}

/** The same for any form, which has inputs for what is `placed` beside the offer's fields. */
export function problemsAt(
  message: string,
  field: string | null,
  offer: Offer,
  { preset }: Picked,
  placed: string[]
): Problems {
  const visible =
    field !== null &&
    (placed.includes(field) ||
      (preset === CUSTOM &&
        shownFields(offer).some(one => one.name === field)));
  return { [visible ? field : 'preset']: message };
}

/** How many workers a start means at most: what its outlook is asked for. */
export function mostWorkers(start: Start): number {
  return start.adapt?.maximum ?? start.workers ?? 1;
}

function readWorkers(
  offer: Offer,
  text: string,
  problems: Problems,
  trans: Words
): Pick<Start, 'workers' | 'adapt'> | null {
  const found = /^(\d{1,6})(?:\s*(?:-|–|to)\s*(\d{1,6}))?$/.exec(text.trim());
  const [low, high] = [found?.[1], found?.[2]].map(part =>
    part === undefined ? null : Number(part)
  );
  const most = high ?? low;
  const max = offer.limits.workers?.max ?? null;
  if (low === null || most === null || most < 1) {
    problems.workers = trans.__(
      'Workers: a whole number, at least 1, or a range such as 0–8.'
    );
    return null;
  }
  if (most < low) {
    problems.workers = trans.__(
      'Workers: from the smaller number to the larger.'
    );
    return null;
  }
  if (max !== null && most > max) {
    problems.workers = trans.__('Workers: at most %1.', max);
    return null;
  }
  return high === null
    ? { workers: low }
    : { adapt: { minimum: low, maximum: high } };
}

function readLasts(
  text: string,
  problems: Problems,
  trans: Words
): number | null {
  if (!text.trim()) {
    return null;
  }
  const value = parseSeconds(text);
  if (value === null) {
    problems.lasts = trans.__(
      'Cluster lasts: a time such as 2 h, 1:30 h or 45 min.'
    );
  }
  return value;
}
