/** The dialog in which one shows a cluster to others, sees who sees it, and takes it back. */

import { Dialog, ReactWidget, UseSignal } from '@jupyterlab/apputils';
import { Signal } from '@lumino/signaling';
import React from 'react';

import type { Api } from './api.ts';
import type { Cluster } from './contract.ts';
import { FormDialog } from './formDialog.ts';
import { SelectInput, TextInput } from './inputs.tsx';
import { FocusWhenDrawn, NextFocus } from './nextFocus.ts';
import { showClock } from './quantity.ts';
import { Refusal } from './refusal.ts';
import {
  lookedLine,
  readNames,
  type Share,
  shareLine,
  spans
} from './sharing.ts';
import type { Words } from './words.ts';

/** Asks whom to show a cluster, and shows it. Throws `Refusal` where nothing is known of who sees it now. */
export async function shareCluster(
  api: Api,
  cluster: Cluster,
  trans: Words
): Promise<void> {
  const { share, teams } = await api.share(cluster.id);
  const form = new ShareForm(api, cluster, share, teams, trans);
  const dialog = new FormDialog({
    title: trans.__('Share the view of “%1”', cluster.name),
    body: form,
    buttons: [
      Dialog.cancelButton({ label: trans.__('Close') }),
      Dialog.okButton({ label: trans.__('Share view') })
    ],
    focusNodeSelector: 'input',
    submit: () => form.submit()
  });
  await dialog.launch();
  dialog.dispose();
}

/** Who shall see it, as it is being put together. */
class ShareForm extends ReactWidget {
  private _api: Api;
  private _cluster: Cluster;
  private _share: Share | null;
  private _teams: string[];
  private _trans: Words;
  private _chosen: Set<string>;
  private _people: string;
  private _seconds: number;
  private _isBusy = false;
  private _problem: { message: string; field: string | null } | null = null;
  private _redraw = new Signal<this, void>(this);
  private _nextFocus = new NextFocus(this.node);

  constructor(
    api: Api,
    cluster: Cluster,
    share: Share | null,
    teams: string[],
    trans: Words
  ) {
    super();
    this.addClass('shopfloor-ShareForm');
    this._api = api;
    this._cluster = cluster;
    this._share = share;
    this._teams = teams;
    this._trans = trans;
    this._chosen = new Set(share?.teams ?? []);
    this._people = (share?.people ?? []).join(', ');
    this._seconds = spans(trans)[1].value;
  }

  /** Shows it to those who were named; whether the server took that. */
  async submit(): Promise<boolean> {
    return this._order(async () => {
      const { share } = await this._api.showTo(this._cluster.id, {
        people: readNames(this._people),
        teams: [...this._chosen],
        seconds: this._seconds
      });
      this._share = share;
    });
  }

  private async _takeBack(): Promise<void> {
    await this._order(async () => {
      await this._api.takeBack(this._cluster.id);
      this._share = null;
      // What had the focus is gone, and without it keys no longer reach the dialog.
      this._nextFocus.want('input');
    });
  }

  private async _order(order: () => Promise<void>): Promise<boolean> {
    this._isBusy = true;
    this._problem = null;
    this._redraw.emit();
    try {
      await order();
      return true;
    } catch (error) {
      if (!(error instanceof Refusal)) {
        throw error;
      }
      this._problem = error;
      return false;
    } finally {
      this._isBusy = false;
      this._redraw.emit();
    }
  }

  protected override render(): React.ReactElement {
    return <UseSignal signal={this._redraw}>{() => this._draw()}</UseSignal>;
  }

  private _draw(): React.ReactElement {
    const trans = this._trans;
    const of = (field: string) =>
      this._problem?.field === field ? this._problem.message : undefined;
    const known = ['people', 'teams', 'seconds'];
    return (
      <>
        <p>
          {trans.__(
            'They see its state, progress and figures in their own Lab. They cannot use, change or stop it, nor see your files.'
          )}
        </p>
        {this._share && this._now(this._share)}
        {this._teams.length > 0 && (
          <fieldset className="shopfloor-Teams">
            <legend>{trans.__('Your teams')}</legend>
            {this._teams.map(team => (
              <label key={team}>
                <input
                  type="checkbox"
                  checked={this._chosen.has(team)}
                  onChange={event => {
                    if (event.target.checked) {
                      this._chosen.add(team);
                    } else {
                      this._chosen.delete(team);
                    }
                    this._redraw.emit();
                  }}
                />{' '}
                {team}
              </label>
            ))}
            <div role="alert" className="shopfloor-Problem">
              {of('teams')}
            </div>
          </fieldset>
        )}
        <TextInput
          id="share-people"
          label={trans.__('People')}
          help={trans.__('The names they log in with, separated by commas')}
          length={1000}
          value={this._people}
          problem={of('people')}
          onChange={value => {
            this._people = value;
            this._redraw.emit();
          }}
        />
        <SelectInput
          id="share-seconds"
          label={trans.__('For')}
          value={String(this._seconds)}
          choices={spans(trans).map(({ value, label }) => ({
            value: String(value),
            label
          }))}
          problem={of('seconds')}
          onChange={value => {
            this._seconds = Number(value);
            this._redraw.emit();
          }}
        />
        <div role="alert" className="shopfloor-Problem">
          {this._problem && !known.includes(this._problem.field ?? '')
            ? this._problem.message
            : ''}
        </div>
        <FocusWhenDrawn next={this._nextFocus} />
      </>
    );
  }

  private _now(share: Share): React.ReactElement {
    const trans = this._trans;
    const clock = (time: number) => showClock(time, Date.now() / 1000);
    return (
      <div className="shopfloor-Shared" data-testid="shopfloor-share">
        <div>{shareLine(share, trans, clock)}</div>
        <div className="shopfloor-Grey">{lookedLine(share, trans, clock)}</div>
        {share.problem && (
          <div className="shopfloor-Problem">{share.problem}</div>
        )}
        <button
          type="button"
          className="jp-mod-styled"
          disabled={this._isBusy}
          onClick={() => void this._takeBack()}
        >
          {trans.__('Stop sharing')}
        </button>
      </div>
    );
  }
}
