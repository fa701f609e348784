/** What a person orders of kernels that are jobs: a new notebook on one, the open notebook onto one, the same once more. */

import { NotebookPanel } from '@jupyterlab/notebook';
import type { CommandRegistry } from '@lumino/commands';

import type { Api } from './api.ts';
import type { JobKernels } from './jobKernels.ts';
import type { Chosen, JobKernel } from './kernelContract.ts';
import { askForKernel } from './kernelDialog.ts';
import type { Asked, KernelBeginning } from './kernelForm.tsx';
import { chosenIn, KEY, withChosen } from './notebookRequest.ts';
import { Refusal } from './refusal.ts';
import type { Words } from './words.ts';

/** What the orders need. */
export interface KernelParts {
  api: Api;
  jobs: JobKernels;
  commands: CommandRegistry;
  trans: Words;
}

/** What a notebook's kernel was asked with, as it remembers. */
export function chosenBefore(panel: NotebookPanel): Chosen | null {
  return chosenIn(panel.content.model?.getMetadata(KEY));
}

/** Asks where, and opens a new notebook there; null if the person thought better of it. Throws `Refusal`. */
export async function newNotebook(
  parts: KernelParts,
  folder: string,
  beginning: KernelBeginning
): Promise<NotebookPanel | null> {
  const { api, jobs, commands, trans } = parts;
  const started = await askForKernel(api, trans, {
    title: trans.__('New notebook on a compute node'),
    beginning,
    start: async asked => ({ asked, job: await startJob(jobs, asked, folder) })
  });
  if (!started) {
    return null;
  }
  const { asked, job } = started;
  return orEnd(jobs, job, async () => {
    const made = (await commands.execute('docmanager:new-untitled', {
      path: folder,
      type: 'notebook'
    })) as { path: string };
    const opened: unknown = await commands.execute('docmanager:open', {
      path: made.path,
      factory: 'Notebook',
      kernel: job ? { id: job.id, name: job.name } : { name: asked.name }
    });
    if (!(opened instanceof NotebookPanel)) {
      throw new Refusal(trans.__('Lab did not open the new notebook.'));
    }
    onceItHasAKernel(opened, forgetKernelId);
    // So that Lab asks for a name when it is saved first, as it does for those that it makes itself.
    opened.isUntitled = true;
    await opened.context.ready;
    remember(opened, asked.chosen);
    return opened;
  });
}

/** Asks where the open notebook's kernel shall run, and puts it there. Throws `Refusal`. */
export async function runElsewhere(
  parts: KernelParts,
  panel: NotebookPanel,
  beginning: KernelBeginning = {}
): Promise<void> {
  const { api, jobs, trans } = parts;
  const { sessionContext } = panel;
  const kernel = sessionContext.session?.kernel;
  const started = await askForKernel(api, trans, {
    title: trans.__('Run “%1” on a compute node', sessionContext.name),
    beginning: {
      name: kernel?.name ?? sessionContext.kernelPreference.name,
      remembered: chosenBefore(panel),
      loss: kernel
        ? trans.__('The kernel that it has now ends, with its variables.')
        : null,
      ...beginning
    },
    start: async asked => ({
      asked,
      job: await startJob(jobs, asked, panel.context.path)
    })
  });
  if (started) {
    await attach(jobs, panel, started.asked, started.job);
  }
}

/** Asks for what was chosen before, at once; where that is refused now, a person is asked. Throws `Refusal`. */
export async function runAgain(
  parts: KernelParts,
  panel: NotebookPanel,
  asked: Asked
): Promise<void> {
  let job: JobKernel | null;
  try {
    job = await startJob(parts.jobs, asked, panel.context.path);
  } catch (error) {
    if (!(error instanceof Refusal)) {
      throw error;
    }
    const { message, field } = error;
    await runElsewhere(parts, panel, {
      ...asked,
      refused: { message, field }
    });
    return;
  }
  await attach(parts.jobs, panel, asked, job);
}

async function startJob(
  jobs: JobKernels,
  { name, chosen }: Asked,
  path: string
): Promise<JobKernel | null> {
  return chosen && jobs.start({ name, request: chosen, path });
}

async function attach(
  jobs: JobKernels,
  panel: NotebookPanel,
  { name, chosen }: Asked,
  job: JobKernel | null
): Promise<void> {
  const { sessionContext } = panel;
  await orEnd(jobs, job, async () => {
    if (sessionContext.session?.kernel?.isDisposed) {
      // Its kernel has ended, and Jupyter has dropped the session: Lab is to make another, not to change that one.
      await sessionContext.sessionManager.refreshRunning();
    }
    await sessionContext.changeKernel(job ? { id: job.id } : { name });
  });
  remember(panel, chosen);
}

/** Lab would ask for the same kernel again when its job is over, by its id and without its name. */
function forgetKernelId({ sessionContext }: NotebookPanel): void {
  sessionContext.kernelPreference = {
    ...sessionContext.kernelPreference,
    id: undefined
  };
}

function onceItHasAKernel(
  panel: NotebookPanel,
  order: (panel: NotebookPanel) => void
): void {
  const { sessionContext } = panel;
  const look = () => {
    if (sessionContext.session?.kernel) {
      sessionContext.kernelChanged.disconnect(look);
      order(panel);
    }
  };
  sessionContext.kernelChanged.connect(look);
  look();
}

/** A job that no notebook got is not left behind to wait and to cost. */
async function orEnd<T>(
  jobs: JobKernels,
  job: JobKernel | null,
  order: () => Promise<T>
): Promise<T> {
  try {
    return await order();
  } catch (error) {
    if (job) {
      await jobs.stop(job);
    }
    throw error;
  }
}

function remember(panel: NotebookPanel, chosen: Chosen | null): void {
  const { model } = panel.content;
  if (!model) {
    return;
  }
  const metadata = withChosen(model.getMetadata(KEY), chosen);
  if (metadata) {
    model.setMetadata(KEY, metadata);
  } else {
    model.deleteMetadata(KEY);
  }
}
