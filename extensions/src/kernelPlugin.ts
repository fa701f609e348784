/** The plugin for kernels that are jobs: launcher, menus, the toolbar's item, and what it takes to keep them true. */

import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import {
  ICommandPalette,
  IToolbarWidgetRegistry,
  Notification
} from '@jupyterlab/apputils';
import { ILauncher } from '@jupyterlab/launcher';
import { INotebookTracker, type NotebookPanel } from '@jupyterlab/notebook';
import type { Event, KernelSpec } from '@jupyterlab/services';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import type { LabIcon } from '@jupyterlab/ui-components';
import { DisposableSet } from '@lumino/disposable';
import { Signal } from '@lumino/signaling';

import { Api } from './api.ts';
import {
  CATEGORY,
  NEW_NOTEBOOK,
  NO_ARGUMENTS,
  NOTEBOOK_ARGUMENTS
} from './commands.ts';
import type { FormParts } from './contract.ts';
import { jobsIcon, logoIcon } from './icons.ts';
import { JobKernels } from './jobKernels.ts';
import type { JobKernel, JobKernelList } from './kernelContract.ts';
import { kernelActions } from './kernelActions.ts';
import { tellOfEnds } from './kernelEnds.ts';
import { KernelItem } from './kernelItem.tsx';
import { newNotebook, runAgain, runElsewhere } from './kernelOrders.ts';
import { NotebookKernels } from './notebookKernels.ts';
import { oneAtATime } from './once.ts';
import { orNotify } from './orNotify.ts';
import type { KernelsPart } from './panel.tsx';
import { Refusal } from './refusal.ts';
import { Replays } from './replays.ts';
import { IKernels } from './tokens.ts';

const EVENT = 'urn:shopfloor:kernels';
const TICK = 10_000; // milliseconds

const CommandIDs = {
  newNotebook: NEW_NOTEBOOK,
  runElsewhere: 'shopfloor:run-on-node'
};

export const kernels: JupyterFrontEndPlugin<KernelsPart> = {
  id: 'shopfloor-lab:kernels',
  description: 'Notebooks whose kernels run on compute nodes.',
  autoStart: true,
  provides: IKernels,
  requires: [INotebookTracker],
  optional: [ILauncher, ICommandPalette, IToolbarWidgetRegistry, ITranslator],
  activate: (
    app: JupyterFrontEnd,
    tracker: INotebookTracker,
    launcher: ILauncher | null,
    palette: ICommandPalette | null,
    toolbars: IToolbarWidgetRegistry | null,
    translator: ITranslator | null
  ) => {
    const trans = (translator ?? nullTranslator).load('shopfloor_lab');
    const { commands, serviceManager } = app;
    const api = new Api(serviceManager.serverSettings, trans);
    const jobs = new JobKernels(api);
    const parts = { api, jobs, commands, trans };
    const notebooks = new NotebookKernels(tracker, jobs);

    const change = oneAtATime((panel: NotebookPanel) =>
      orNotify(() => runElsewhere(parts, panel))
    );
    const again = oneAtATime(
      (panel: NotebookPanel, name: string, chosen: JobKernel['chosen']) =>
        orNotify(() => runAgain(parts, panel, { name, chosen }))
    );
    /** Carries out an order of the toolbar's, which has no place for a refusal. */
    const orTell = async (order: Promise<void>, { id }: JobKernel) => {
      await order;
      const refusal = jobs.refusal(id);
      if (refusal) {
        Notification.error(refusal, { autoClose: false });
      }
    };
    const keep = (kernel: JobKernel) => void orTell(jobs.keep(kernel), kernel);
    const replays = new Replays({ tracker, jobs, api, trans });
    tellOfEnds({ jobs, notebooks, replays, keep, trans });

    let form: FormParts | null = null;
    let isFormWanted = false;
    const formCame = new Signal<JobKernels, void>(jobs);
    /** What names the presets: asked for once, when the first notebook needs it. */
    const wantForm = async () => {
      if (isFormWanted) {
        return;
      }
      isFormWanted = true;
      try {
        form = await api.kernelForm();
        formCame.emit();
      } catch (error) {
        if (!(error instanceof Refusal)) {
          throw error;
        }
        isFormWanted = false; // asked again when it is next drawn
      }
    };
    toolbars?.addFactory<NotebookPanel>(
      'Notebook',
      'shopfloor-kernel',
      panel =>
        new KernelItem({
          panel,
          jobs,
          jobOf: one => notebooks.jobOf(one),
          form: () => {
            void wantForm();
            return form;
          },
          formCame,
          change: one => void change(one),
          again: (...args) => void again(...args),
          cancel: kernel => void orTell(jobs.stop(kernel), kernel),
          keep,
          trans
        })
    );

    serviceManager.events.stream.connect((_, event: Event.Emission) => {
      if (event.schema_id === EVENT && Array.isArray(event.kernels)) {
        jobs.take(event as unknown as JobKernelList);
      }
    });
    document.addEventListener('visibilitychange', () => {
      if (!document.hidden) {
        // Lab lets its websocket of events be while nobody looks.
        void jobs.refresh();
      }
    });
    void app.restored.then(() => {
      void jobs.refresh();
      setInterval(() => jobs.tick(), TICK);
    });

    // Its notebook is returned for the launcher, which makes room for what its card opened.
    const open = oneAtATime((folder: string, name?: string) =>
      orNotify(() => newNotebook(parts, folder, { name }))
    );
    const icons = new Map<string, LabIcon>();
    commands.addCommand(CommandIDs.newNotebook, {
      label: args =>
        args.isLauncher
          ? labelOf(
              serviceManager.kernelspecs.specs,
              text(args.kernelName) ?? ''
            )
          : args.isPalette
            ? trans.__('New Notebook on a Compute Node…')
            : trans.__('Notebook on a Compute Node…'),
      caption: trans.__('The kernel is a job of its own, with its own GPU'),
      icon: args =>
        args.isPalette
          ? undefined
          : (icons.get(text(args.kernelName) ?? '') ?? jobsIcon),
      describedBy: { args: NOTEBOOK_ARGUMENTS },
      execute: args => open(text(args.cwd) ?? '', text(args.kernelName))
    });
    commands.addCommand(CommandIDs.runElsewhere, {
      label: trans.__('Run on a Compute Node…'),
      caption: trans.__('Choose where the kernel of this notebook runs'),
      describedBy: { args: NO_ARGUMENTS },
      isEnabled: () => tracker.currentWidget !== null,
      execute: () =>
        tracker.currentWidget ? change(tracker.currentWidget) : undefined
    });
    palette?.addItem({
      command: CommandIDs.newNotebook,
      category: CATEGORY,
      args: { isPalette: true }
    });
    palette?.addItem({ command: CommandIDs.runElsewhere, category: CATEGORY });

    if (launcher) {
      let cards = new DisposableSet();
      const deal = () => {
        cards.dispose();
        cards = new DisposableSet();
        const specs = serviceManager.kernelspecs.specs?.kernelspecs ?? {};
        for (const [name, spec] of Object.entries(specs)) {
          const logo = logoOf(spec);
          if (logo && !icons.has(name)) {
            icons.set(name, logoIcon(name, logo));
          }
          cards.add(
            launcher.add({
              command: CommandIDs.newNotebook,
              args: { isLauncher: true, kernelName: name },
              category: trans.__('Notebook on a compute node'),
              categoryRank: 10,
              rank: name === serviceManager.kernelspecs.specs?.default ? 0 : 1
            })
          );
        }
      };
      deal();
      serviceManager.kernelspecs.specsChanged.connect(deal);
    }
    return { jobs, actions: kernelActions(parts, notebooks, serviceManager) };
  }
};

function labelOf(specs: KernelSpec.ISpecModels | null, name: string): string {
  return specs?.kernelspecs[name]?.display_name ?? name;
}

function logoOf(spec: KernelSpec.ISpecModel | undefined): string | undefined {
  return spec?.resources['logo-svg'] || spec?.resources['logo-64x64'];
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
