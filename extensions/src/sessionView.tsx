/** The status bar's item *time left and use*, and what it unfolds to; `session.ts` is what they show. */

import { ReactWidget, UseSignal } from '@jupyterlab/apputils';
import { Popup, showPopup } from '@jupyterlab/statusbar';
import type { Message } from '@lumino/messaging';
import React from 'react';

import { showClock } from './quantity.ts';
import type { Session } from './session.ts';
import {
  cpuShort,
  gpuShort,
  idleRule,
  memoryIsHigh,
  memoryShort,
  timeLeftWords
} from './sessionWords.ts';
import { UseList } from './useList.tsx';
import type { Words } from './words.ts';

/** What the widgets need beside the session. */
export interface SessionView {
  session: Session;
  trans: Words;
  saveAll: () => void;
}

/** When the job ends, by this browser's clock. */
export function endsAt(session: Session): string {
  const now = Date.now() / 1000;
  return showClock(now + session.left, now);
}

export class SessionItem extends ReactWidget {
  private _view: SessionView;
  private _popup: Popup | null = null;

  constructor(view: SessionView) {
    super();
    this._view = view;
    this.id = 'shopfloor-session';
    this.addClass('shopfloor-Session');
  }

  /** Unfolds the item; folds it again where it is unfolded. */
  toggle(): void {
    if (this._popup && !this._popup.isDisposed) {
      this._popup.dispose();
      return;
    }
    const body = new SessionDetails(this._view);
    this._popup = showPopup({
      body,
      anchor: this,
      align: 'right',
      hasDynamicSize: true
    });
    this._popup.disposed.connect(() => {
      // Whoever closed it by a click elsewhere is there already.
      if (body.node.contains(document.activeElement)) {
        this.node.querySelector('button')?.focus();
      }
      this.update();
    });
    this.update();
  }

  protected override render(): React.ReactElement {
    return (
      <UseSignal signal={this._view.session.changed}>
        {() => this._button()}
      </UseSignal>
    );
  }

  private _button(): React.ReactElement {
    const { session, trans } = this._view;
    const { seen } = session;
    if (!seen) {
      return <></>;
    }
    const { use } = seen;
    const parts: [string | null, boolean][] =
      use && !session.hasEnded
        ? [
            [cpuShort(use, trans), false],
            [memoryShort(use, trans), memoryIsHigh(use)],
            [gpuShort(use, trans), false]
          ]
        : [];
    const ends = trans.__('JupyterLab ends at %1', endsAt(session));
    return (
      <button
        type="button"
        className="shopfloor-Session-button"
        disabled={session.hasEnded}
        title={
          session.isStale
            ? trans.__('%1. Your server does not answer.', ends)
            : trans.__('%1. Click for what it uses.', ends)
        }
        aria-haspopup="dialog"
        aria-expanded={this._popup !== null && !this._popup.isDisposed}
        data-testid="shopfloor-session"
        onClick={() => this.toggle()}
      >
        <span
          className="shopfloor-Session-part"
          data-level={seen.time.warning === null ? 'calm' : 'high'}
          data-testid="shopfloor-time-left"
        >
          {session.hasEnded
            ? trans.__('Ended')
            : timeLeftWords(session.left, trans)}
        </span>
        {parts.map(
          ([text, high]) =>
            text && (
              <span
                key={text.split(' ')[0]}
                className="shopfloor-Session-part"
                data-level={high ? 'high' : 'calm'}
              >
                {text}
              </span>
            )
        )}
      </button>
    );
  }
}

/** Each resource as a bar and in words. */
class SessionDetails extends ReactWidget {
  private _view: SessionView;

  constructor(view: SessionView) {
    super();
    this._view = view;
    this.addClass('shopfloor-Session-details');
    this.node.tabIndex = -1;
    this.node.setAttribute('role', 'dialog');
    this.node.setAttribute('aria-label', view.trans.__('Time left and use'));
  }

  protected override onAfterAttach(message: Message): void {
    super.onAfterAttach(message);
    this.node.focus(); // so that Escape closes it, and Tab goes on in it
  }

  protected override render(): React.ReactElement {
    return (
      <UseSignal signal={this._view.session.changed}>
        {() => this._rows()}
      </UseSignal>
    );
  }

  private _rows(): React.ReactElement {
    const { session, trans, saveAll } = this._view;
    const { seen } = session;
    if (!seen) {
      return <></>;
    }
    const { use } = seen;
    const rule = idleRule(seen, trans);
    return (
      <>
        <p className="shopfloor-Session-head">
          <strong>{timeLeftWords(session.left, trans)}</strong>{' '}
          <span className="shopfloor-Grey">
            {trans.__('on %1, until %2', seen.node, endsAt(session))}
          </span>
        </p>
        {use ? (
          <UseList use={use} memoryEnds={seen.memory_ends} trans={trans} />
        ) : (
          <p>{trans.__('What it uses cannot be read at the moment.')}</p>
        )}
        <p className="shopfloor-Grey">
          {trans.__('Closing the tab does not stop it.')} {rule}
        </p>
        <button
          type="button"
          className="jp-mod-styled jp-mod-accept"
          onClick={saveAll}
        >
          {trans.__('Save all')}
        </button>
      </>
    );
  }
}
