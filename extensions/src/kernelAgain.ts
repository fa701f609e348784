/** What a notebook remembers of its kernel's job: anybody may have written that, so nothing is asked for unseen. */

import type { FormParts, Offer } from './contract.ts';
import { standardValue } from './fieldValues.ts';
import { shownFields } from './form.ts';
import type { Chosen } from './kernelContract.ts';
import type { Words } from './words.ts';

/** A button that asks for a kernel's job as before. */
export interface AgainButton {
  label: string;
  title: string;
  opensDialog: boolean;
  order: () => void;
}

/** Starts at once what its label names, which is a preset of the site's and no more; a person looks at all else first. */
export function againButton(
  remembered: Chosen,
  parts: FormParts | null,
  orders: { start: (chosen: Chosen) => void; ask: () => void },
  trans: Words
): AgainButton {
  const preset =
    Object.keys(remembered).length === 1
      ? parts?.offer.presets.find(one => one.name === remembered.preset)
      : undefined;
  return preset
    ? {
        label: trans.__('Run on %1', preset.label),
        title: trans.__('Ask once more for what this notebook ran on'),
        opensDialog: false,
        order: () => orders.start({ preset: preset.name })
      }
    : {
        label: trans.__('Run on a compute node…'),
        title: trans.__('See what this notebook ran on, and ask for it'),
        opensDialog: true,
        order: () => orders.ask()
      };
}

/** The same without values that the form would ask for and not show, unless a preset of the site's has them. */
export function visibleOf(offer: Offer, remembered: Chosen): Chosen {
  const hidden = new Map(offer.fields.map(field => [field.name, field]));
  for (const field of shownFields(offer)) {
    hidden.delete(field.name);
  }
  const isSeen = ([name, value]: [string, unknown]) => {
    const field = hidden.get(name);
    return (
      !field ||
      offer.presets.some(one => standardValue(field, one.request) === value)
    );
  };
  return Object.fromEntries(Object.entries(remembered).filter(isSeen));
}
