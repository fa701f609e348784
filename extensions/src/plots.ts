/** Dask's plots in Lab: the menu of a cluster's row, the palette's command, and panes that a reload finds again. */

import type { ILayoutRestorer, JupyterFrontEnd } from '@jupyterlab/application';
import {
  type ICommandPalette,
  InputDialog,
  type IThemeManager,
  MainAreaWidget,
  WidgetTracker
} from '@jupyterlab/apputils';

import type { Api } from './api.ts';
import type { Clusters } from './clusters.ts';
import { CATEGORY, PALETTE_ARGUMENTS } from './commands.ts';
import type { Cluster, Plot } from './contract.ts';
import { plotIcon } from './icons.ts';
import { openMenuBelow } from './menuBelow.ts';
import { PLOT_ARGUMENTS, type PlotOf, readPlotOf } from './plotOf.ts';
import { PlotPane } from './plotPane.tsx';
import { PlotView } from './plotView.ts';
import { Refusal } from './refusal.ts';
import { endedLine, type Words } from './words.ts';

const CommandIDs = {
  open: 'shopfloor:open-plot',
  choose: 'shopfloor:choose-plot'
};

/** What plots need of Lab; what is null is not there. */
export interface Surroundings {
  app: JupyterFrontEnd;
  api: Api;
  clusters: Clusters;
  /** Asks which of the running clusters; null where none was chosen or none runs. */
  chooseCluster(title: string): Promise<Cluster | null>;
  trans: Words;
  palette: ICommandPalette | null;
  restorer: ILayoutRestorer | null;
  themes: IThemeManager | null;
}

/** Adds commands and panes; returns what opens a cluster's menu of plots below the button that asked for it. */
export function addPlots(
  around: Surroundings
): (cluster: Cluster, button: HTMLElement) => Promise<void> {
  const { app, api, clusters, trans, themes } = around;
  const { commands, shell } = app;
  const tracker = new WidgetTracker<MainAreaWidget<PlotPane>>({
    namespace: 'shopfloor-plots'
  });
  const theme = () =>
    themes?.theme && !themes.isLight(themes.theme) ? 'dark' : 'light';

  const open = async (of: PlotOf) => {
    const there = tracker.find(
      one =>
        one.content.of.cluster === of.cluster && one.content.of.plot === of.plot
    );
    const pane = there ?? newPane(of);
    if (!there) {
      const other = tracker.currentWidget;
      shell.add(
        pane,
        'main',
        other ? { mode: 'tab-after', ref: other.id } : { mode: 'split-right' }
      );
      await tracker.add(pane);
    }
    shell.activateById(pane.id);
  };

  const newPane = (of: PlotOf) => {
    const view = new PlotView(
      () => api.plotAddress(of.cluster, of.plot, theme()),
      trans
    );
    const content = new PlotPane(of, view, trans);
    const pane = new MainAreaWidget({ content });
    pane.id = `shopfloor-plot-${of.cluster}-${of.plot}`;
    pane.title.label = trans.__('%1: %2', of.name, of.title);
    pane.title.caption = trans.__(
      '%1 of the Dask cluster “%2”',
      of.title,
      of.name
    );
    pane.title.icon = plotIcon;
    pane.title.closable = true;
    return pane;
  };

  /** The cluster's plots, or null where its row says why not. */
  const listed = async (cluster: Cluster) => {
    clusters.setRefusal(cluster.id, null);
    try {
      return await api.plots(cluster.id);
    } catch (error) {
      if (!(error instanceof Refusal)) {
        throw error;
      }
      clusters.setRefusal(cluster.id, error.message);
      return null;
    }
  };

  clusters.changed.connect(() => {
    for (const cluster of clusters.list ?? []) {
      if (cluster.state === 'ended') {
        tracker.forEach(({ content }) => {
          if (content.of.cluster === cluster.id) {
            content.view.end(endedLine(cluster, trans));
          }
        });
      }
    }
  });
  themes?.themeChanged.connect(() => {
    tracker.forEach(({ content }) => content.view.redraw());
  });

  commands.addCommand(CommandIDs.open, {
    // Where shortcuts are listed there is no plot to name.
    label: args => readPlotOf(args)?.title ?? trans.__('Open Dask Plot'),
    describedBy: { args: PLOT_ARGUMENTS },
    isEnabled: args => readPlotOf(args) !== null,
    execute: async args => {
      const of = readPlotOf(args);
      if (of) {
        await open(of);
      }
    }
  });
  commands.addCommand(CommandIDs.choose, {
    label: trans.__('Show Plots of a Dask Cluster'),
    caption: trans.__('Open one of Dask’s plots beside your notebooks'),
    icon: args => (args.isPalette ? undefined : plotIcon),
    describedBy: { args: PALETTE_ARGUMENTS },
    execute: async () => {
      const cluster = await around.chooseCluster(trans.__('Plots of'));
      const plots = cluster && (await listed(cluster));
      if (plots) {
        const { value } = await InputDialog.getItem({
          title: trans.__('Plot of “%1”', cluster.name),
          label: trans.__('Plot'),
          items: plots.map(one => one.title)
        });
        const plot = plots.find(one => one.title === value);
        if (plot) {
          await open(plotOf(cluster, plot));
        }
      }
    }
  });
  around.palette?.addItem({
    command: CommandIDs.choose,
    category: CATEGORY,
    args: { isPalette: true }
  });
  void around.restorer?.restore(tracker, {
    command: CommandIDs.open,
    args: ({ content }) => ({ ...content.of }),
    name: ({ content }) => `${content.of.cluster}:${content.of.plot}`
  });

  return async (cluster, button) => {
    const plots = await listed(cluster);
    if (!plots) {
      return;
    }
    openMenuBelow(
      button,
      commands,
      plots.map(plot => ({
        command: CommandIDs.open,
        args: { ...plotOf(cluster, plot) }
      }))
    );
  };
}

function plotOf(cluster: Cluster, plot: Plot): PlotOf {
  return {
    cluster: cluster.id,
    name: cluster.name,
    plot: plot.name,
    title: plot.title
  };
}
