/** The forms' kernels, versions, outlook and own presets: what is chosen, and in which words it is told. */

import type {
  Kernel,
  Offer,
  Outlook,
  Software,
  FormParts
} from './contract.ts';
import { showClock, showSeconds } from './quantity.ts';
import type { Words } from './words.ts';

/** What stands before the names of one's own presets, so that they never meet the site's. */
const OWN = 'own:';

/** The packages whose versions are told, in this order. */
const TOLD = ['python', 'dask', 'distributed', 'pandas', 'numpy', 'pyarrow'];

/** A preset of one's own as it is named among the offer's. */
export function ownName(name: string): string {
  return OWN + name;
}

/** The offer with the person's own presets after the site's. */
export function withOwnPresets({ offer, presets }: FormParts): Offer {
  const own = presets.map(one => ({
    ...one,
    name: ownName(one.name),
    own: true as const
  }));
  return { ...offer, presets: [...offer.presets, ...own] };
}

/** The kernel that is chosen when nobody chose: that of the cluster before, else of the notebook, else the usual. */
export function kernelFor(
  kernels: Kernel[],
  notebook?: string,
  earlier?: string
): string {
  const usable = kernels.filter(one => !one.disabled);
  const found =
    usable.find(one => one.name === earlier) ??
    usable.find(one => one.name === notebook) ??
    usable.find(one => one.default) ??
    usable[0] ??
    kernels[0];
  return found?.name ?? '';
}

/** The kernels to choose from; what cannot be had says why. */
export function kernelChoices(
  kernels: Kernel[],
  trans: Words
): { value: string; label: string; disabled: boolean }[] {
  const labels = kernels.map(one => one.label);
  return kernels.map(({ name, label, python, disabled }) => {
    const same = labels.filter(one => one === label).length > 1;
    const shown = same ? trans.__('%1 (%2)', label, python || name) : label;
    return {
      value: name,
      label: disabled ? trans.__('%1 – %2', shown, disabled) : shown,
      disabled: disabled !== null
    };
  });
}

/** What the workers would run: `Python 3.11.2, dask 2026.8.0`, then what differs from the notebook. */
export function softwareLines(software: Software, trans: Words): string[] {
  const told = TOLD.filter(name => software.versions[name]).map(name =>
    trans.__(
      '%1 %2',
      name === 'python' ? 'Python' : name,
      software.versions[name]
    )
  );
  return [trans.__('%1.', told.join(', ')), ...software.notes];
}

/** When the first worker would start: `The first can start now; 3 such workers fit into what is free.` */
export function startWords(
  outlook: Outlook,
  now: number,
  trans: Words
): string {
  const { kind, at, why } = outlook.start;
  const clock = at === null ? null : showClock(at, now);
  switch (kind) {
    case 'now':
      return trans.__('The first worker can start now.');
    case 'later':
      return outlook.free
        ? trans.__(
            'The first worker is expected to start by %1; what it needs is free.',
            clock
          )
        : trans.__('The first worker is expected to start at %1.', clock);
    case 'refused':
      return trans.__('Such a worker would not be taken: %1', why);
    case 'unknown':
      return unknownWords(outlook, now, trans);
  }
}

/** When a kernel would start. */
export function kernelStartWords(
  outlook: Outlook,
  now: number,
  trans: Words
): string {
  const { kind, at, why } = outlook.start;
  const clock = at === null ? null : showClock(at, now);
  switch (kind) {
    case 'now':
      return trans.__('It can start now.');
    case 'later':
      return outlook.free
        ? trans.__(
            'It is expected to start by %1; what it needs is free.',
            clock
          )
        : trans.__('It is expected to start at %1.', clock);
    case 'refused':
      return trans.__('It would not be taken: %1', why);
    case 'unknown':
      return unknownWords(outlook, now, trans);
  }
}

function unknownWords(outlook: Outlook, now: number, trans: Words): string {
  const { at, why, ago } = outlook.start;
  if (ago === null) {
    return trans.__('When it would start is not known now (%1).', why);
  }
  const past = showSeconds(Math.round(ago));
  return at === null
    ? trans.__(
        'When it would start is not known now (%1), last asked %2 ago.',
        why,
        past
      )
    : trans.__(
        'When it would start is not known now; %2 ago it was %1.',
        showClock(at, now),
        past
      );
}

/** All that is told of a choice of so many workers, as sentences. */
export function outlookLines(
  outlook: Outlook,
  workers: number,
  now: number,
  trans: Words
): string[] {
  const { room, cap, rate, cost } = outlook;
  const lines = [startWords(outlook, now, trans)];
  if (workers > 1 && room !== null && room < workers) {
    lines.push(
      room === 0
        ? trans.__('No such worker fits into what is free.')
        : trans.__('%1 of %2 fit into what is free.', room, workers)
    );
  }
  if (cap) {
    lines.push(cap);
  }
  if (rate) {
    lines.push(trans._n('%1 worker: %2.', '%1 workers: %2.', workers, rate));
  }
  if (cost) {
    lines.push(trans.__('To the end of their time: %1.', cost));
  }
  if (outlook.too_dear) {
    lines.push(trans.__('That is more than is left.'));
  }
  return lines;
}

/** The same of a choice for one kernel. */
export function kernelOutlookLines(
  outlook: Outlook,
  now: number,
  trans: Words
): string[] {
  const { cap, rate, cost } = outlook;
  return [
    kernelStartWords(outlook, now, trans),
    ...(cap ? [cap] : []),
    ...(rate ? [trans.__('Costs %1.', rate)] : []),
    ...(cost ? [trans.__('To the end of its time: %1.', cost)] : []),
    ...(outlook.too_dear ? [trans.__('That is more than is left.')] : [])
  ];
}
