/** A pane with one of Dask's plots: the page in a sandbox, and words over it while there is nothing to see. */

import { ReactWidget, UseSignal } from '@jupyterlab/apputils';
import { IFrame } from '@jupyterlab/ui-components';
import type { IDisposable } from '@lumino/disposable';
import type { Message } from '@lumino/messaging';
import { Panel } from '@lumino/widgets';
import React from 'react';

import type { PlotOf } from './plotOf.ts';
import type { PlotView } from './plotView.ts';
import { watchSeen } from './seen.ts';
import type { Words } from './words.ts';

export class PlotPane extends Panel {
  readonly of: PlotOf;
  readonly view: PlotView;
  private _trans: Words;
  private _frame: IFrame | null = null;
  private _number = 0;
  private _watching: IDisposable;

  constructor(of: PlotOf, view: PlotView, trans: Words) {
    super();
    this.of = of;
    this.view = view;
    this._trans = trans;
    this.addClass('shopfloor-Plot');
    const words = ReactWidget.create(
      <UseSignal signal={view.changed}>
        {() => <PlotWords view={view} trans={trans} />}
      </UseSignal>
    );
    words.addClass('shopfloor-Plot-words');
    this.addWidget(words);
    view.changed.connect(this._update, this);
    window.addEventListener('message', this._onMessage);
    this._watching = watchSeen(this, isSeen => {
      view.isSeen = isSeen;
    });
  }

  override dispose(): void {
    if (!this.isDisposed) {
      window.removeEventListener('message', this._onMessage);
      this._watching.dispose();
      this.view.dispose();
    }
    super.dispose();
  }

  protected override onActivateRequest(message: Message): void {
    super.onActivateRequest(message);
    this.node.tabIndex = -1;
    this.node.focus();
  }

  private _update(): void {
    const { url, phase, number } = this.view;
    this.toggleClass('shopfloor-mod-shown', phase === 'shown');
    if (url === null) {
      this._frame?.dispose();
      this._frame = null;
    } else if (phase === 'loading' && number !== this._number) {
      this._number = number;
      this._frame?.dispose();
      this._frame = this._load(url);
      this.addWidget(this._frame);
    }
  }

  /**
   * Never with `allow-same-origin`: plots draw as HTML what tasks and errors call themselves, and in Lab's own origin a
   * script in it could do whatever the person can.
   */
  private _load(url: string): IFrame {
    const frame = new IFrame({ sandbox: ['allow-scripts', 'allow-downloads'] });
    const element = frame.node.querySelector('iframe');
    element?.setAttribute(
      'title',
      this._trans.__('%1 of %2', this.of.title, this.of.name)
    );
    let loaded = false;
    element?.addEventListener('load', () => {
      if (loaded) {
        // Browsers load a frame anew when its pane is moved, and its address may be no longer valid.
        void this.view.open();
      }
      loaded = true;
    });
    frame.url = url;
    return frame;
  }

  private _onMessage = (event: MessageEvent): void => {
    const own = this._frame?.node.querySelector('iframe')?.contentWindow;
    if (own && event.source === own) {
      if (event.data === 'shopfloor-plot-ready') {
        this.view.ready();
      } else if (event.data === 'shopfloor-plot-lost') {
        this.view.lost();
      }
    }
  };
}

function PlotWords(props: {
  view: PlotView;
  trans: Words;
}): React.ReactElement {
  const { view, trans } = props;
  const { phase, problem, isOver } = view;
  return (
    <>
      <div role="status">
        {problem ?? (phase === 'shown' ? '' : trans.__('Drawing the plot…'))}
      </div>
      {problem && !isOver && (
        <button
          type="button"
          className="jp-mod-styled"
          disabled={phase === 'asking'}
          onClick={() => void view.open()}
        >
          {trans.__('Try again')}
        </button>
      )}
    </>
  );
}
