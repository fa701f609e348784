/** The dialog that starts a Dask cluster; `startForm.tsx` is what is in it. */

import { Dialog } from '@jupyterlab/apputils';

import type { Api } from './api.ts';
import type { Clusters } from './clusters.ts';
import type { Cluster } from './contract.ts';
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
  const body = new StartForm(api, await api.form(), trans, beginning);
  const dialog = new StartDialog(body, clusters, trans);
  await dialog.launch();
  dialog.dispose();
  return dialog.started;
}

/** Stays open until the server took the order: a refusal belongs beside the field it names. */
class StartDialog extends Dialog<unknown> {
  started: Cluster | null = null;
  private _form: StartForm;
  private _clusters: Clusters;

  constructor(form: StartForm, clusters: Clusters, trans: Words) {
    super({
      title: trans.__('New Dask cluster'),
      body: form,
      buttons: [
        Dialog.cancelButton({ label: trans.__('Cancel') }),
        Dialog.okButton({
          label: trans.__('Start cluster'),
          ariaLabel: trans.__('Start cluster')
        })
      ],
      focusNodeSelector: 'input:checked'
    });
    this.addClass('shopfloor-StartDialog');
    this._form = form;
    this._clusters = clusters;
  }

  /** Lab closes its circle of Tab before React has drawn the form: the first input is put in here. */
  override handleEvent(event: Event): void {
    const last = this.node.querySelector('.jp-Dialog-footer .jp-mod-accept');
    if (
      event instanceof KeyboardEvent &&
      event.type === 'keydown' &&
      event.key === 'Tab' &&
      !event.shiftKey &&
      event.target === last
    ) {
      event.stopPropagation();
      event.preventDefault();
      this._form.node.querySelector('input')?.focus();
      return;
    }
    if (
      event instanceof KeyboardEvent &&
      event.type === 'keydown' &&
      event.key === 'Enter' &&
      this._form.takesEnter(event.target)
    ) {
      return;
    }
    super.handleEvent(event);
  }

  override resolve(index = 1): void {
    if (index !== 1) {
      super.resolve(index);
    } else if (!this._form.busy) {
      void this._start();
    }
  }

  private async _start(): Promise<void> {
    const start = this._form.read();
    if (!start) {
      return;
    }
    this._form.setBusy(true);
    try {
      this.started = await this._clusters.start(start);
      super.resolve(1);
    } catch (error) {
      if (!(error instanceof Refusal)) {
        throw error;
      }
      this._form.refuse(error.message, error.field);
    } finally {
      this._form.setBusy(false);
    }
  }
}
