/** The side panel *Jobs*: its head, its list, and what it says when there is nothing or no news. */

import { ReactWidget, UseSignal } from '@jupyterlab/apputils';
import { addIcon } from '@jupyterlab/ui-components';
import type { IDisposable } from '@lumino/disposable';
import React, { useEffect, useRef } from 'react';

import type { Clusters } from './clusters.ts';
import type { Cluster } from './contract.ts';
import { jobsIcon } from './icons.ts';
import { showClock } from './quantity.ts';
import { ClusterRow } from './row.tsx';
import { watchSeen } from './seen.ts';
import { SharedSection } from './sharedSection.tsx';
import type { SharedViews } from './sharedViews.ts';
import { announcement, newsLine, type Words } from './words.ts';

/** What the panel's buttons do beyond the list itself. */
export interface Actions {
  startNew: () => void;
  startAgain: (cluster: Cluster) => void;
  putInNotebook: (cluster: Cluster) => Promise<void>;
  /** Below the button that asks for it. */
  showPlots: (cluster: Cluster, button: HTMLElement) => Promise<void>;
  /** Asks whom to show it, and says who sees it. */
  share: (cluster: Cluster) => Promise<void>;
  stop: (cluster: Cluster) => Promise<void>;
  /** Opens the page about what goes wrong, at this kind of it. */
  explainTrouble: (kind: string) => Promise<void>;
}

export class JobsPanel extends ReactWidget {
  private _clusters: Clusters;
  private _shared: SharedViews;
  private _actions: Actions;
  private _trans: Words;
  private _watching: IDisposable;

  constructor(
    clusters: Clusters,
    shared: SharedViews,
    actions: Actions,
    trans: Words
  ) {
    super();
    this.id = 'shopfloor-jobs';
    this.addClass('shopfloor-Jobs');
    this.title.icon = jobsIcon;
    this.title.caption = trans.__('Jobs');
    this.node.setAttribute('role', 'region');
    this.node.setAttribute('aria-label', trans.__('Jobs'));
    this._clusters = clusters;
    this._shared = shared;
    this._actions = actions;
    this._trans = trans;
    // A browser has few connections to one server: none is held for a panel that nobody sees.
    this._watching = watchSeen(this, isSeen => {
      clusters.watch(isSeen);
      shared.watch(isSeen);
    });
  }

  override dispose(): void {
    if (this.isDisposed) {
      return;
    }
    this._watching.dispose();
    this._clusters.watch(false);
    this._shared.watch(false);
    super.dispose();
  }

  protected override render(): React.ReactElement {
    return (
      <>
        <UseSignal signal={this._clusters.changed}>
          {() => (
            <JobsView
              clusters={this._clusters}
              actions={this._actions}
              trans={this._trans}
            />
          )}
        </UseSignal>
        <UseSignal signal={this._shared.changed}>
          {() => <SharedSection shared={this._shared} trans={this._trans} />}
        </UseSignal>
      </>
    );
  }
}

function JobsView(props: {
  clusters: Clusters;
  actions: Actions;
  trans: Words;
}): React.ReactElement {
  const { clusters, actions, trans } = props;
  const { list } = clusters;
  return (
    <>
      <div className="shopfloor-Jobs-head">
        <h2>{trans.__('Jobs')}</h2>
        <button
          type="button"
          className="shopfloor-IconButton"
          title={trans.__('New Dask cluster')}
          aria-label={trans.__('New Dask cluster')}
          onClick={actions.startNew}
        >
          <addIcon.react tag="span" aria-hidden="true" />
        </button>
      </div>
      <News clusters={clusters} trans={trans} />
      <Announced list={list} trans={trans} />
      {list && list.length > 0 && (
        <ul
          className="shopfloor-Jobs-list"
          aria-label={trans.__('Dask clusters')}
        >
          {list.map(cluster => (
            <ClusterRow
              key={cluster.id}
              cluster={cluster}
              clusters={clusters}
              actions={actions}
              trans={trans}
            />
          ))}
        </ul>
      )}
      {list?.length === 0 && (
        <div className="shopfloor-Jobs-empty">
          <p>
            {trans.__(
              'A Dask cluster is a group of workers that compute together, for data or models that are too much for one notebook.'
            )}
          </p>
          <button
            type="button"
            className="jp-mod-styled jp-mod-accept"
            data-testid="shopfloor-first-cluster"
            onClick={actions.startNew}
          >
            {trans.__('Start a Dask cluster')}
          </button>
        </div>
      )}
    </>
  );
}

/** Nothing on screen may lie: how old it is, and why, where it is not current. */
function News(props: { clusters: Clusters; trans: Words }): React.ReactElement {
  const { clusters, trans } = props;
  const text = newsLine(clusters, trans, time =>
    showClock(time, Date.now() / 1000)
  );
  return (
    <div
      role="status"
      className={`shopfloor-News${clusters.problem ? ' shopfloor-Problem' : ''}`}
    >
      {text}
    </div>
  );
}

/** Figures change all the time; who hears the page is told of states only. */
function Announced(props: {
  list: Clusters['list'];
  trans: Words;
}): React.ReactElement {
  const { list, trans } = props;
  const before = useRef<Clusters['list']>(null);
  const said = useRef('');
  const news = announcement(before.current, list, trans);
  useEffect(() => {
    before.current = list;
    said.current = news || said.current;
  });
  return (
    <div role="log" className="shopfloor-mod-unseen">
      {news || said.current}
    </div>
  );
}
