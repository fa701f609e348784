/** Puts the connecting cell into the open notebook and runs it. */

import { Dialog, showDialog } from '@jupyterlab/apputils';
import {
  type INotebookTracker,
  NotebookActions,
  NotebookPanel
} from '@jupyterlab/notebook';
import type { ITranslator } from '@jupyterlab/translation';
import type { CommandRegistry } from '@lumino/commands';

import type { Words } from './words.ts';

/** What is needed to find a notebook, or to make one. */
export interface Notebooks {
  tracker: INotebookTracker;
  commands: CommandRegistry;
  /** The kernel of a new notebook; undefined lets Lab ask. */
  defaultKernel: () => string | undefined;
  translator: ITranslator;
}

/** The kernel of the current notebook: its kernelspec's name, if it has one. */
export function currentKernel(notebooks: Notebooks): string | undefined {
  const context = notebooks.tracker.currentWidget?.sessionContext;
  return context?.session?.kernel?.name;
}

/** The current notebook, or a new one with this kernel if the person wants it; null if not. */
export async function currentNotebook(
  notebooks: Notebooks,
  kernel: string | null,
  trans: Words
): Promise<NotebookPanel | null> {
  const current = notebooks.tracker.currentWidget;
  if (current) {
    return current;
  }
  const { button } = await showDialog({
    title: trans.__('No notebook is open'),
    body: trans.__(
      'The connecting cell goes into a notebook. Open one, or start with an empty one.'
    ),
    buttons: [
      Dialog.cancelButton({ label: trans.__('Cancel') }),
      Dialog.okButton({ label: trans.__('New notebook') })
    ]
  });
  if (!button.accept) {
    return null;
  }
  const kernelName = kernel || notebooks.defaultKernel();
  const made: unknown = await notebooks.commands.execute(
    'notebook:create-new',
    { activate: true, ...(kernelName ? { kernelName } : {}) }
  );
  return made instanceof NotebookPanel ? made : null;
}

/**
 * Inserts `source` as a code cell above the active cell, has it run, and leaves the cell before active again. It may
 * wait for cells before it, for as long as these take.
 */
export async function insertAndRun(
  panel: NotebookPanel,
  source: string,
  translator: ITranslator
): Promise<void> {
  await panel.context.ready;
  await panel.sessionContext.ready;
  const notebook = panel.content;
  NotebookActions.insertAbove(notebook);
  if (notebook.activeCell?.model.type !== 'code') {
    NotebookActions.changeCellType(notebook, 'code', translator);
  }
  notebook.activeCell?.model.sharedModel.setSource(source);
  const { mode } = notebook;
  // What goes wrong then stands below the cell.
  NotebookActions.runAndAdvance(
    notebook,
    panel.sessionContext,
    undefined,
    translator
  ).catch(() => undefined);
  // Running takes the keys away from whoever was about to write.
  notebook.mode = mode;
}
