/** The dialog that asks where a notebook's kernel shall run; `kernelForm.tsx` is what is in it. */

import type { Api } from './api.ts';
import { type Asked, type KernelBeginning, KernelForm } from './kernelForm.tsx';
import { askWith } from './offerDialog.ts';
import type { Words } from './words.ts';

/** What the dialog is called, what it begins with, and what becomes of it. */
export interface KernelQuestion<T> {
  title: string;
  beginning: KernelBeginning;
  /** Carries out what was asked; a `Refusal` stands beside its field, and the dialog stays open. */
  start: (asked: Asked) => Promise<T>;
}

/** What came of it; null if the person thought better of it. Throws `Refusal`. */
export async function askForKernel<T>(
  api: Api,
  trans: Words,
  { title, beginning, start }: KernelQuestion<T>
): Promise<T | null> {
  return askWith(
    new KernelForm(api, await api.kernelForm(), trans, beginning),
    {
      title,
      label: trans.__('Start'),
      ariaLabel: trans.__('Start the kernel'),
      start
    },
    trans
  );
}
