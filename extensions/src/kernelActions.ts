/** What the panel's rows of kernels do: open their notebooks, interrupt, restart, stop, remove, and ask for one like it. */

import { Dialog, showDialog } from '@jupyterlab/apputils';
import { NotebookPanel } from '@jupyterlab/notebook';
import {
  type Contents,
  KernelAPI,
  ServerConnection,
  type ServiceManager
} from '@jupyterlab/services';

import type { JobKernel } from './kernelContract.ts';
import { type KernelParts, newNotebook, runElsewhere } from './kernelOrders.ts';
import type { KernelActions } from './kernelRow.tsx';
import { kernelName } from './kernelWords.ts';
import type { NotebookKernels } from './notebookKernels.ts';
import { oneAtATime } from './once.ts';
import { orNotify } from './orNotify.ts';
import { Refusal } from './refusal.ts';

/** When a file was saved last, in epoch seconds; before all times where there is none. */
async function savedAt(
  contents: Contents.IManager,
  path: string
): Promise<number> {
  try {
    const { last_modified } = await contents.get(path, { content: false });
    return Date.parse(last_modified) / 1000;
  } catch (error) {
    if (!(error instanceof ServerConnection.ResponseError)) {
      throw error;
    }
    return -Infinity;
  }
}

/** The actions; those that ask open no second dialog behind the first. */
export function kernelActions(
  parts: KernelParts,
  notebooks: NotebookKernels,
  { serverSettings: settings, contents }: ServiceManager.IManager
): KernelActions {
  const { api, jobs, commands, trans } = parts;
  const unsaved = trans.__(
    'What its cells printed last is in no saved notebook yet, and is lost with it. Open the notebook, and save it, to keep that.'
  );

  /** Throws `Refusal`: the notebook may be gone. */
  const openNotebook = async ({ path }: JobKernel) => {
    try {
      const opened: unknown = await commands.execute('docmanager:open', {
        path,
        factory: 'Notebook'
      });
      return opened instanceof NotebookPanel ? opened : null;
    } catch (error) {
      const isGone =
        error instanceof ServerConnection.ResponseError &&
        error.response.status === 404;
      throw new Refusal(
        isGone
          ? trans.__('The notebook %1 is not there any more.', path)
          : error instanceof Error
            ? error.message
            : String(error)
      );
    }
  };
  /** Carries out an order of Jupyter's own; what it answers else stands in the row. */
  const orBeside = async (kernel: JobKernel, order: () => Promise<void>) => {
    jobs.setRefusal(kernel.id, null);
    try {
      await order();
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      jobs.setRefusal(kernel.id, why);
    }
  };
  /** Asks first; false also where another question is open. */
  const isMeant = oneAtATime(
    async (title: string, body: string, label: string) => {
      const { button } = await showDialog({
        title,
        body,
        buttons: [
          Dialog.cancelButton({ label: trans.__('Cancel') }),
          Dialog.warnButton({ label })
        ],
        defaultButton: 0
      });
      return button.accept;
    }
  );
  /** What would be lost with it, in words; null for nothing. */
  const lossOf = async (kernel: JobKernel) => {
    if (kernel.execution === 'busy') {
      return trans.__(
        'It computes. What it has not finished is lost, as are its variables; files stay.'
      );
    }
    return (await isUnsaved(kernel)) ? unsaved : null;
  };

  /** Whether its cells printed what nobody saved, and no notebook that is open here has it. */
  const isUnsaved = async ({ id, path, silent_since }: JobKernel) => {
    const isOpen = notebooks.panelsOf(id).length > 0;
    if (path === null || isOpen || silent_since !== null) {
      return false;
    }
    try {
      const saved = await savedAt(contents, path);
      return (await api.runs(id)).some(
        ({ cell, outputs, ended }) =>
          cell !== null && outputs.length > 0 && (ended ?? Infinity) > saved
      );
    } catch (error) {
      if (!(
        error instanceof Refusal ||
        error instanceof ServerConnection.NetworkError
      )) {
        throw error;
      }
      return false; // its node does not answer, and stopping it must be possible
    }
  };

  const stopping = new Set<string>();

  return {
    open: kernel => void orNotify(() => openNotebook(kernel)),
    interrupt: kernel =>
      orBeside(kernel, () => KernelAPI.interruptKernel(kernel.id, settings)),
    restart: oneAtATime(async kernel => {
      const name = kernelName(kernel);
      if (
        await isMeant(
          trans.__('Restart the kernel of “%1”?', name),
          trans.__('All its variables are lost.'),
          trans.__('Restart')
        )
      ) {
        // Through the notebook where that is open, which then knows that its cells run no more.
        const [panel] = notebooks.panelsOf(kernel.id);
        // Its connection's own restart: the context's says nothing of a refusal.
        const connection = panel?.sessionContext.session?.kernel;
        await orBeside(
          kernel,
          () =>
            connection?.restart() ??
            KernelAPI.restartKernel(kernel.id, settings)
        );
      }
    }),
    stop: async kernel => {
      if (stopping.has(kernel.id)) {
        return;
      }
      stopping.add(kernel.id);
      try {
        const loss = await lossOf(kernel);
        const name = kernelName(kernel);
        if (
          loss === null ||
          (await isMeant(
            trans.__('Stop the kernel of “%1”?', name),
            loss,
            trans.__('Stop it')
          ))
        ) {
          void jobs.stop(kernel);
        }
      } finally {
        stopping.delete(kernel.id);
      }
    },
    remove: async kernel => {
      const name = kernelName(kernel);
      if (
        !kernel.unsaved ||
        (await isMeant(
          trans.__('Remove the kernel of “%1”?', name),
          unsaved,
          trans.__('Remove it')
        ))
      ) {
        void jobs.remove(kernel);
      }
    },
    startAgain: oneAtATime(async kernel => {
      const { name, chosen, path } = kernel;
      await orNotify(async () => {
        const panel = path === null ? null : await openNotebook(kernel);
        await (panel
          ? runElsewhere(parts, panel, { name, chosen })
          : newNotebook(parts, '', { name, chosen }));
      });
    })
  };
}
