/** The dialog that starts a Dask cluster; `startForm.tsx` is what is in it. */

import { Dialog } from '@jupyterlab/apputils';

import type { Api } from './api.ts';
import type { Clusters } from './clusters.ts';
import type { Cluster } from './contract.ts';
import { FormDialog } from './formDialog.ts';
import { Refusal } from './refusal.ts';
import { type Beginning, StartForm } from './startForm.tsx';
import type { Words } from './words.ts';

/** Asks for a new cluster and starts it; null if the person thought better of it. Throws `Refusal`. */
export async function startCluster(
  api: Api,
  clusters: Clusters,
  trans: Words,
  beginning: Beginning
): Promise<Cluster | null> {
  const form = new StartForm(api, await api.form(), trans, beginning);
  let started: Cluster | null = null;
  const submit = async () => {
    const start = form.read();
    if (!start) {
      return false;
    }
    form.setBusy(true);
    try {
      started = await clusters.start(start);
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
    title: trans.__('New Dask cluster'),
    body: form,
    buttons: [
      Dialog.cancelButton({ label: trans.__('Cancel') }),
      Dialog.okButton({
        label: trans.__('Start cluster'),
        ariaLabel: trans.__('Start cluster')
      })
    ],
    focusNodeSelector: 'input:checked',
    submit,
    takesEnter: target => form.takesEnter(target)
  });
  dialog.addClass('shopfloor-StartDialog');
  await dialog.launch();
  dialog.dispose();
  return started;
}
