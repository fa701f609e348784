/** The line above Lab that says that the server ends soon for want of work, or that it has ended. */

import { ReactWidget, UseSignal } from '@jupyterlab/apputils';
import React from 'react';

import type { Session } from './session.ts';
import { idleEnded, idleWarning, timeEnded } from './sessionWords.ts';
import type { Words } from './words.ts';

export interface Banner {
  session: Session;
  trans: Words;
  keep: () => void;
  /** Where a new server can be started, or null. */
  home: string | null;
}

export class SessionBanner extends ReactWidget {
  private _banner: Banner;
  private _announced = '';

  constructor(banner: Banner) {
    super();
    this._banner = banner;
    this.id = 'shopfloor-session-banner';
    this.addClass('shopfloor-Banner');
  }

  /** What it is to say now; null: it need not be there. */
  static text({ session, trans }: Banner): string | null {
    const { seen, idleLeft } = session;
    if (!seen) {
      return null;
    }
    if (seen.idle.state === 'expired') {
      return idleEnded(seen, trans);
    }
    if (session.hasEnded) {
      return timeEnded(seen, trans);
    }
    return idleLeft === null
      ? null
      : idleWarning(seen, session.quiet, idleLeft, trans);
  }

  protected override render(): React.ReactElement {
    return (
      <UseSignal signal={this._banner.session.changed}>
        {() => this._line()}
      </UseSignal>
    );
  }

  private _line(): React.ReactElement {
    const { session, trans, keep, home } = this._banner;
    const text = SessionBanner.text(this._banner);
    if (!text || !session.seen) {
      return <></>;
    }
    const ended = session.hasEnded;
    // A reader hears a sentence once, and the countdown never: only what changes but by time is announced.
    if (ended || !this._announced) {
      this._announced = text;
    }
    return (
      <>
        <span role="alert" className="shopfloor-mod-unseen">
          {this._announced}
        </span>
        <span role="timer" aria-live="off" data-testid="shopfloor-idle">
          {text}
        </span>
        {!ended && (
          <button
            type="button"
            className="jp-mod-styled jp-mod-accept"
            onClick={keep}
          >
            {trans.__('Keep it')}
          </button>
        )}
        {ended && home && <a href={home}>{trans.__('Start again')}</a>}
      </>
    );
  }
}
