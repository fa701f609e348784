/** Connects new notebooks to the cluster that runs, where the person chose so in Lab's settings or the palette. */

import type { ICommandPalette } from '@jupyterlab/apputils';
import type { NotebookPanel } from '@jupyterlab/notebook';
import type { ISettingRegistry } from '@jupyterlab/settingregistry';
import type { CommandRegistry } from '@lumino/commands';

import type { Clusters } from './clusters.ts';
import { CATEGORY, NO_ARGUMENTS } from './commands.ts';
import type { Cluster } from './contract.ts';
import type { Notebooks } from './notebook.ts';
import type { Words } from './words.ts';

export const PLUGIN = 'shopfloor-lab:jobs';
const SETTING = 'connectNewNotebooks';
const COMMAND = 'shopfloor:connect-new-notebooks';

/** What of a cell tells whether somebody has written into it. */
export interface CellText {
  type: string;
  source: string;
}

/** Whether a notebook is as Lab makes it: with one empty code cell at most. */
export function isBlank(cells: readonly CellText[]): boolean {
  return (
    cells.length <= 1 &&
    cells.every(one => one.type === 'code' && one.source === '')
  );
}

/** The newest cluster that runs, of a list with the newest first. */
export function newestRunning(
  clusters: readonly Cluster[] | null
): Cluster | undefined {
  return clusters?.find(one => one.state === 'running');
}

/** What is connected, and how. */
export interface AutoConnect {
  clusters: Clusters;
  notebooks: Notebooks;
  /** Puts the connecting cell into a notebook and runs it, if that is still wanted when the cell is there. */
  connect: (
    cluster: Cluster,
    panel: NotebookPanel,
    isWanted: () => boolean
  ) => Promise<void>;
  registry: ISettingRegistry;
  /** When Lab has opened again what was open before, of which nothing is new. */
  restored: Promise<void>;
  commands: CommandRegistry;
  palette: ICommandPalette | null;
  trans: Words;
}

/** Keeps the setting, offers it in the palette, and follows it for every notebook that is opened. */
export async function connectNewNotebooks(parts: AutoConnect): Promise<void> {
  const { registry, restored, commands, notebooks, palette, trans } = parts;
  const [settings] = await Promise.all([registry.load(PLUGIN), restored]);
  const isOn = () => settings.get(SETTING).composite === true;
  settings.changed.connect(() => commands.notifyCommandChanged(COMMAND));
  commands.addCommand(COMMAND, {
    label: trans.__('Connect New Notebooks to the Running Dask Cluster'),
    caption: trans.__(
      'A notebook that is opened empty begins with the connecting cell, which is run'
    ),
    isToggleable: true,
    isToggled: isOn,
    describedBy: { args: NO_ARGUMENTS },
    execute: () => settings.set(SETTING, !isOn())
  });
  palette?.addItem({ command: COMMAND, category: CATEGORY });
  notebooks.tracker.widgetAdded.connect((_, panel) => {
    if (isOn()) {
      connectIfBlank(parts, panel).catch((error: unknown) =>
        console.warn('A new notebook was not connected.', error)
      );
    }
  });
}

async function connectIfBlank(
  { clusters, connect }: AutoConnect,
  panel: NotebookPanel
): Promise<void> {
  await panel.context.ready;
  const blank = () =>
    !panel.isDisposed &&
    isBlank(
      [...(panel.content.model?.cells ?? [])].map(({ type, sharedModel }) => ({
        type,
        source: sharedModel.getSource()
      }))
    );
  if (!blank()) {
    return;
  }
  await panel.sessionContext.ready;
  const info = await panel.sessionContext.session?.kernel?.info;
  if (info?.language_info.name !== 'python') {
    return;
  }
  await clusters.refresh();
  const cluster = newestRunning(clusters.list);
  if (cluster) {
    // Whoever has begun to write meanwhile is not interrupted.
    await connect(cluster, panel, blank);
  }
}
