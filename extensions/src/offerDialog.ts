/** The dialog around an offer's form (offerForm.tsx): it is open until the server took what was asked, or nobody wants it. */

import { Dialog } from '@jupyterlab/apputils';
import type { Widget } from '@lumino/widgets';

import { FormDialog } from './formDialog.ts';
import { Refusal } from './refusal.ts';
import type { Words } from './words.ts';

/** What such a form does; `read` is null where there is something to mend, which it draws. */
export type AskingForm<Asked> = Dialog.IBodyWidget<unknown> &
  Widget & {
    read(): Asked | null;
    refuse(message: string, field: string | null): void;
    setBusy(busy: boolean): void;
    takesEnter(target: EventTarget | null): boolean;
  };

/** What the dialog says, and what becomes of what was asked; a `Refusal` stands beside its field. */
export interface OfferQuestion<Asked, T> {
  title: string;
  label: string;
  ariaLabel: string;
  start: (asked: Asked) => Promise<T>;
}

/** What came of it; null if the person thought better of it. */
export async function askWith<Asked, T>(
  form: AskingForm<Asked>,
  { title, label, ariaLabel, start }: OfferQuestion<Asked, T>,
  trans: Words
): Promise<T | null> {
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
      Dialog.okButton({ label, ariaLabel })
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
