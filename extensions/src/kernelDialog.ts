/** The dialog that asks where a notebook's kernel shall run; `kernelForm.tsx` is what is in it. */

import { Dialog } from '@jupyterlab/apputils';

import type { Api } from './api.ts';
import { FormDialog } from './formDialog.ts';
import { type Asked, type KernelBeginning, KernelForm } from './kernelForm.tsx';
import { Refusal } from './refusal.ts';
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
  const form = new KernelForm(api, await api.kernelForm(), trans, beginning);
  let result: T | null = null;
  const submit = async () => {
    const asked = form.read();
    if (!asked) {
      return false;
    }
    form.setBusy(true);
    try {
      result = await start(asked);
      return true;
    } catch (error) {
      if (!(error instanceof Refusal)) {
        throw error;
      }
      form.refuse(error.message, error.field);
      return false;
    } finally {
      form.setBusy(false);
    }
  };
  const dialog = new FormDialog({
    title,
    body: form,
    buttons: [
      Dialog.cancelButton({ label: trans.__('Cancel') }),
      Dialog.okButton({
        label: trans.__('Start'),
        ariaLabel: trans.__('Start the kernel')
      })
    ],
    focusNodeSelector: 'input:checked',
    submit,
    takesEnter: target => form.takesEnter(target)
  });
  dialog.addClass('shopfloor-StartDialog');
  await dialog.launch();
  dialog.dispose();
  return result;
}
