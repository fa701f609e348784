/** The plugins: the panel *Jobs*, its commands, the launcher's card for the examples; more in kernelPlugin.ts and sessionPlugin.ts. */

import {
  ILayoutRestorer,
  type JupyterFrontEnd,
  type JupyterFrontEndPlugin
} from '@jupyterlab/application';
import {
  Dialog,
  ICommandPalette,
  InputDialog,
  IThemeManager,
  Notification,
  showDialog
} from '@jupyterlab/apputils';
import { PathExt } from '@jupyterlab/coreutils';
import { ILauncher } from '@jupyterlab/launcher';
import { INotebookTracker } from '@jupyterlab/notebook';
import { IRenderMimeRegistry } from '@jupyterlab/rendermime';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import { Api } from './api.ts';
import { connectNewNotebooks, PLUGIN } from './autoConnect.ts';
import { Clusters } from './clusters.ts';
import {
  CATEGORY,
  NEW_ARGUMENTS,
  NEW_NOTEBOOK,
  NO_ARGUMENTS,
  PALETTE_ARGUMENTS
} from './commands.ts';
import type { Cluster, Start } from './contract.ts';
import { startCluster } from './dialog.ts';
import { notifyOfEnds } from './endNotifications.ts';
import { GpuTimes } from './gpuTime.tsx';
import { examplesIcon, jobsIcon } from './icons.ts';
import { kernels } from './kernelPlugin.ts';
import { currentKernel, currentNotebook, insertAndRun } from './notebook.ts';
import { oneAtATime } from './once.ts';
import { orNotify } from './orNotify.ts';
import { openMenuBelow } from './menuBelow.ts';
import { JobsPanel, type KernelsPart } from './panel.tsx';
import { addPlots } from './plots.ts';
import { Refusal } from './refusal.ts';
import type { Session } from './session.ts';
import { session } from './sessionPlugin.ts';
import { shareCluster } from './shareDialog.tsx';
import { SharedViews } from './sharedViews.ts';
import { stopOrder } from './stopping.ts';
import { IKernels, ISession } from './tokens.ts';
import { openTroublesPage } from './troublesPage.ts';
import type { Words } from './words.ts';

const CommandIDs = {
  newCluster: 'shopfloor:new-cluster',
  insertCell: 'shopfloor:insert-connecting-cell',
  openExamples: 'shopfloor:open-examples'
};

const jobs: JupyterFrontEndPlugin<void> = {
  id: PLUGIN,
  description:
    'The panel in which Dask clusters are started, watched and used.',
  autoStart: true,
  requires: [INotebookTracker, IRenderMimeRegistry],
  optional: [
    ICommandPalette,
    ILayoutRestorer,
    ITranslator,
    IThemeManager,
    ISettingRegistry,
    IKernels,
    ISession
  ],
  activate: (
    app: JupyterFrontEnd,
    tracker: INotebookTracker,
    rendermime: IRenderMimeRegistry,
    palette: ICommandPalette | null,
    restorer: ILayoutRestorer | null,
    maybeTranslator: ITranslator | null,
    themes: IThemeManager | null,
    registry: ISettingRegistry | null,
    kernelsPart: KernelsPart | null,
    job: Session | null
  ) => {
    const translator = maybeTranslator ?? nullTranslator;
    const trans = translator.load('shopfloor_lab');
    const { commands, serviceManager, shell } = app;
    const api = new Api(serviceManager.serverSettings, trans);
    const notebooks = {
      tracker,
      commands,
      defaultKernel: () => serviceManager.kernelspecs.specs?.default,
      translator
    };

    const startNew = oneAtATime(async (earlier?: Start) => {
      shell.activateById(panel.id);
      await orNotify(() =>
        startCluster(api, clusters, trans, {
          earlier,
          notebook: currentKernel(notebooks)
        })
      );
    });

    const putInNotebook = async (cluster: Cluster) => {
      clusters.setRefusal(cluster.id, null);
      try {
        const kernel = currentKernel(notebooks) ?? cluster.kernel;
        const source = await api.cell(cluster.id, kernel ?? undefined);
        const notebook = await currentNotebook(notebooks, kernel, trans);
        if (notebook) {
          shell.activateById(notebook.id);
          await insertAndRun(notebook, source, translator);
        }
      } catch (error) {
        if (!(error instanceof Refusal)) {
          throw error;
        }
        clusters.setRefusal(cluster.id, error.message);
      }
    };

    const isStopMeant = async (cluster: Cluster, loss: string) => {
      const { button } = await showDialog({
        title: trans.__('Stop “%1”?', cluster.name),
        body: loss,
        buttons: [
          Dialog.cancelButton({ label: trans.__('Keep it running') }),
          Dialog.warnButton({ label: trans.__('Stop it') })
        ],
        defaultButton: 0
      });
      return button.accept;
    };

    /** One of those that run, asked for where there are several; null where there is none, which is said. */
    const chooseRunning = async (title: string) => {
      await clusters.refresh();
      const running = (clusters.list ?? []).filter(
        one => one.state === 'running'
      );
      if (clusters.problem || running.length === 0) {
        shell.activateById(panel.id);
        Notification.warning(
          clusters.problem ??
            trans.__('No Dask cluster is running. Start one in Jobs.')
        );
        return null;
      }
      return running.length === 1
        ? running[0]
        : chooseCluster(running, title, trans);
    };

    const clusters = new Clusters(api);
    const stop = stopOrder(clusters, isStopMeant, trans);
    const showPlots = addPlots({
      app,
      api,
      clusters,
      chooseCluster: chooseRunning,
      trans,
      palette,
      restorer,
      themes
    });
    const panel: JobsPanel = new JobsPanel(
      {
        session: job,
        kernels: kernelsPart,
        clusters,
        shared: new SharedViews(api),
        gpuTimes: new GpuTimes(api)
      },
      {
        startNew: () => void startNew(),
        newNotebook: () => void commands.execute(NEW_NOTEBOOK),
        offerNew: button =>
          openMenuBelow(button, commands, [
            ...(kernelsPart ? [{ command: NEW_NOTEBOOK }] : []),
            { command: CommandIDs.newCluster, args: { isMenu: true } }
          ]),
        startAgain: ({ name, workers, request, lasts, kernel }) =>
          void startNew({
            name,
            ...(workers.adapt
              ? { adapt: workers.adapt }
              : { workers: Math.max(1, workers.wanted) }),
            request,
            ...(lasts === null ? {} : { lasts }),
            ...(kernel ? { kernel } : {})
          }),
        putInNotebook,
        showPlots,
        share: oneAtATime(cluster =>
          orNotify(() => shareCluster(api, cluster, trans))
        ),
        stop,
        explainTrouble: kind =>
          orNotify(() => openTroublesPage(app, api, rendermime, trans, kind))
      },
      trans
    );
    shell.add(panel, 'left', { rank: 150, type: 'Jobs' });
    restorer?.add(panel, panel.id);
    notifyOfEnds(
      serviceManager.events,
      api,
      clusters,
      () => panel.isVisible,
      trans
    );

    commands.addCommand(CommandIDs.newCluster, {
      label: args =>
        args.isPalette
          ? trans.__('New Dask Cluster')
          : args.isMenu
            ? trans.__('Dask Cluster…')
            : trans.__('Dask Cluster'),
      caption: trans.__('Start workers that compute together'),
      icon: args => (args.isPalette ? undefined : jobsIcon),
      describedBy: { args: NEW_ARGUMENTS },
      execute: () => startNew()
    });
    commands.addCommand(CommandIDs.insertCell, {
      label: trans.__('Insert Connecting Cell'),
      caption: trans.__('Connect the open notebook to a Dask cluster'),
      describedBy: { args: NO_ARGUMENTS },
      execute: async () => {
        const chosen = await chooseRunning(trans.__('Connect to'));
        if (chosen) {
          await putInNotebook(chosen);
        }
      }
    });
    for (const command of [CommandIDs.newCluster, CommandIDs.insertCell]) {
      palette?.addItem({
        command,
        category: CATEGORY,
        args: { isPalette: true }
      });
    }
    if (registry) {
      connectNewNotebooks({
        ...{ clusters, notebooks, registry, commands, palette, trans },
        restored: app.restored,
        connect: (cluster, notebook, isWanted) =>
          orNotify(async () => {
            const kernel = notebook.sessionContext.session?.kernel?.name;
            const source = await api.cell(cluster.id, kernel);
            if (isWanted()) {
              await insertAndRun(notebook, source, translator);
            }
          })
      }).catch((error: unknown) =>
        console.error('New notebooks cannot be connected.', error)
      );
    }
  }
};

const examples: JupyterFrontEndPlugin<void> = {
  id: 'shopfloor-lab:examples',
  description: 'The launcher card that opens the example notebooks.',
  autoStart: true,
  optional: [ILauncher, ICommandPalette, ITranslator],
  activate: (
    app: JupyterFrontEnd,
    launcher: ILauncher | null,
    palette: ICommandPalette | null,
    translator: ITranslator | null
  ) => {
    const trans = (translator ?? nullTranslator).load('shopfloor_lab');
    const api = new Api(app.serviceManager.serverSettings, trans);
    const command = CommandIDs.openExamples;
    app.commands.addCommand(command, {
      label: args =>
        args.isPalette
          ? trans.__('Open Example Notebooks')
          : trans.__('Example notebooks'),
      caption: trans.__(
        'Copy the example notebooks to your files and open the first one'
      ),
      icon: args => (args.isPalette ? undefined : examplesIcon),
      describedBy: { args: PALETTE_ARGUMENTS },
      execute: () =>
        orNotify(async () => {
          const path = await api.examples();
          // Returned for the launcher, which makes room for what its card opened.
          const opened: unknown = await app.commands.execute(
            'docmanager:open',
            { path }
          );
          if (app.commands.hasCommand('filebrowser:go-to-path')) {
            // The other notebooks lie in the same folder.
            await app.commands.execute('filebrowser:go-to-path', {
              path: PathExt.dirname(path),
              dontShowBrowser: true
            });
          }
          return opened;
        })
    });
    launcher?.add({ command, category: CATEGORY, rank: 0 });
    palette?.addItem({
      command,
      category: CATEGORY,
      args: { isPalette: true }
    });
  }
};

/** Asks which of several clusters; null when dismissed. */
async function chooseCluster(
  clusters: Cluster[],
  title: string,
  trans: Words
): Promise<Cluster | null> {
  const items = clusters.map((one, at) => `${at + 1}. ${one.name}`);
  const { value } = await InputDialog.getItem({
    title,
    label: trans.__('Dask cluster'),
    items
  });
  return value === null ? null : clusters[items.indexOf(value)];
}

export default [jobs, examples, kernels, session];
