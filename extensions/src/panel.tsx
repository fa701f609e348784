/** The side panel *Jobs*: its head, its list, and what it says when there is nothing or no news. */

import { ReactWidget, UseSignal } from '@jupyterlab/apputils';
import { addIcon } from '@jupyterlab/ui-components';
import type { IDisposable } from '@lumino/disposable';
import React, { useEffect, useRef } from 'react';

import type { Clusters } from './clusters.ts';
import type { Cluster } from './contract.ts';
import { GpuTimeFoot, type GpuTimes } from './gpuTime.tsx';
import { jobsIcon } from './icons.ts';
import type { JobKernels } from './jobKernels.ts';
import { type KernelActions, KernelRow } from './kernelRow.tsx';
import { kernelAnnouncement } from './kernelWords.ts';
import { showClock } from './quantity.ts';
import { ClusterRow } from './row.tsx';
import { watchSeen } from './seen.ts';
import { ServerRow } from './serverRow.tsx';
import type { Session } from './session.ts';
import { SharedSection } from './sharedSection.tsx';
import type { SharedViews } from './sharedViews.ts';
import { announcement, newsLine, type Words } from './words.ts';

/** What the panel's buttons do beyond the list itself. */
export interface Actions {
  startNew: () => void;
  newNotebook: () => void;
  /** Below the button that asks for it: a kernel, or a cluster. */
  offerNew: (button: HTMLElement) => void;
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

/** The kernels that are jobs, and what their buttons do. */
export interface KernelsPart {
  jobs: JobKernels;
  actions: KernelActions;
}

/** What the panel lists; null is not there. */
export interface Listed {
  session: Session | null;
  kernels: KernelsPart | null;
  clusters: Clusters;
  shared: SharedViews;
  gpuTimes: GpuTimes;
}

export class JobsPanel extends ReactWidget {
  private _session: Session | null;
  private _kernels: KernelsPart | null;
  private _clusters: Clusters;
  private _shared: SharedViews;
  private _gpuTimes: GpuTimes;
  private _actions: Actions;
  private _trans: Words;
  private _watching: IDisposable;

  constructor(listed: Listed, actions: Actions, trans: Words) {
    super();
    const { session, kernels, clusters, shared, gpuTimes } = listed;
    this.id = 'shopfloor-jobs';
    this.addClass('shopfloor-Jobs');
    this.title.icon = jobsIcon;
    this.title.caption = trans.__('Jobs');
    this.node.setAttribute('role', 'region');
    this.node.setAttribute('aria-label', trans.__('Jobs'));
    this._session = session;
    this._kernels = kernels;
    this._clusters = clusters;
    this._shared = shared;
    this._gpuTimes = gpuTimes;
    this._actions = actions;
    this._trans = trans;
    // A browser has few connections to one server: none is held for a panel that nobody sees.
    this._watching = watchSeen(this, isSeen => {
      clusters.watch(isSeen);
      shared.watch(isSeen);
      gpuTimes.watch(isSeen);
      if (isSeen) {
        this.update(); // what was not drawn while nobody looked
      }
    });
  }

  override dispose(): void {
    if (this.isDisposed) {
      return;
    }
    this._watching.dispose();
    this._clusters.watch(false);
    this._shared.watch(false);
    this._gpuTimes.watch(false);
    super.dispose();
  }

  protected override render(): React.ReactElement {
    const trans = this._trans;
    const isSeen = () => this.isVisible;
    const draw = () => (
      <JobsView
        session={this._session}
        kernels={this._kernels}
        clusters={this._clusters}
        isSeen={isSeen}
        actions={this._actions}
        trans={trans}
      />
    );
    const kernels = this._kernels;
    return (
      <>
        <UseSignal signal={this._clusters.changed}>
          {() =>
            kernels ? (
              <UseSignal signal={kernels.jobs.changed} shouldUpdate={isSeen}>
                {draw}
              </UseSignal>
            ) : (
              draw()
            )
          }
        </UseSignal>
        <UseSignal signal={this._shared.changed}>
          {() => <SharedSection shared={this._shared} trans={trans} />}
        </UseSignal>
        <GpuTimeFoot times={this._gpuTimes} trans={trans} />
      </>
    );
  }
}

function JobsView(props: {
  session: Session | null;
  kernels: KernelsPart | null;
  clusters: Clusters;
  isSeen: () => boolean;
  actions: Actions;
  trans: Words;
}): React.ReactElement {
  const { session, kernels, clusters, isSeen, actions, trans } = props;
  const { list } = clusters;
  const jobs = kernels?.jobs.list ?? [];
  const isEmpty = list?.length === 0 && jobs.length === 0;
  return (
    <>
      <div className="shopfloor-Jobs-head">
        <h2>{trans.__('Jobs')}</h2>
        <button
          type="button"
          className="shopfloor-IconButton"
          title={trans.__('New job')}
          aria-label={trans.__('New job')}
          aria-haspopup="menu"
          onClick={event => actions.offerNew(event.currentTarget)}
        >
          <addIcon.react tag="span" aria-hidden="true" />
        </button>
      </div>
      <News clusters={clusters} kernels={kernels} trans={trans} />
      <Announced
        clusters={list}
        kernels={kernels?.jobs.list ?? null}
        trans={trans}
      />
      <ul className="shopfloor-Jobs-list" aria-label={trans.__('Jobs')}>
        {session && (
          <UseSignal signal={session.changed} shouldUpdate={isSeen}>
            {() => <ServerRow session={session} trans={trans} />}
          </UseSignal>
        )}
        {kernels &&
          jobs.map(kernel => (
            <KernelRow
              key={kernel.id}
              kernel={kernel}
              jobs={kernels.jobs}
              actions={kernels.actions}
              trans={trans}
            />
          ))}
        {list?.map(cluster => (
          <ClusterRow
            key={cluster.id}
            cluster={cluster}
            clusters={clusters}
            actions={actions}
            trans={trans}
          />
        ))}
      </ul>
      {isEmpty && (
        <div className="shopfloor-Jobs-empty">
          <p>
            {trans.__(
              'A notebook on a compute node has a GPU or more memory of its own. A Dask cluster is a group of workers that compute together, for data or models that are too much for one notebook.'
            )}
          </p>
          <div className="shopfloor-Buttons">
            {kernels && (
              <button
                type="button"
                className="jp-mod-styled jp-mod-accept"
                title={trans.__('New notebook on a compute node')}
                onClick={actions.newNotebook}
              >
                {trans.__('Start a notebook')}
              </button>
            )}
            <button
              type="button"
              className="jp-mod-styled jp-mod-accept"
              data-testid="shopfloor-first-cluster"
              onClick={actions.startNew}
            >
              {trans.__('Start a Dask cluster')}
            </button>
          </div>
        </div>
      )}
    </>
  );
}

/** Nothing on screen may lie: how old it is, and why, where it is not current. */
function News(props: {
  clusters: Clusters;
  kernels: KernelsPart | null;
  trans: Words;
}): React.ReactElement {
  const { clusters, kernels, trans } = props;
  const text = newsLine(clusters, trans, time =>
    showClock(time, Date.now() / 1000)
  );
  const problem = clusters.problem ?? kernels?.jobs.problem ?? null;
  return (
    <div
      role="status"
      className={`shopfloor-News${problem === null ? '' : ' shopfloor-Problem'}`}
    >
      {text || problem}
    </div>
  );
}

/** Figures change all the time; who hears the page is told of states only. */
function Announced(props: {
  clusters: Clusters['list'];
  kernels: JobKernels['list'];
  trans: Words;
}): React.ReactElement {
  const { clusters, kernels, trans } = props;
  const before = useRef<Pick<typeof props, 'clusters' | 'kernels'>>({
    clusters: null,
    kernels: null
  });
  const said = useRef('');
  const news = [
    announcement(before.current.clusters, clusters, trans),
    kernelAnnouncement(before.current.kernels, kernels, trans)
  ]
    .filter(Boolean)
    .join('. ');
  useEffect(() => {
    before.current = { clusters, kernels };
    said.current = news || said.current;
  });
  return (
    <div role="log" className="shopfloor-mod-unseen">
      {news || said.current}
    </div>
  );
}
