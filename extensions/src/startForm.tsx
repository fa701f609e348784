/** The form in the start dialog: cards and fields drawn from the offer; `form.ts` and `outlook.ts` are its logic, `formView.tsx` draws it. */

import { ReactWidget, UseSignal } from '@jupyterlab/apputils';
import { Signal } from '@lumino/signaling';
import React from 'react';

import type { Api } from './api.ts';
import type {
  FormParts,
  Offer,
  Outlook,
  Request,
  Script,
  Software,
  Start
} from './contract.ts';
import {
  CUSTOM,
  choosePreset,
  type Inputs,
  inputsFrom,
  mostWorkers,
  type Problems,
  problemsFrom,
  startFrom
} from './form.ts';
import { FormView, PRESET_NAME } from './formView.tsx';
import { SelectInput } from './inputs.tsx';
import { Latest } from './latest.ts';
import { FocusWhenDrawn, NextFocus } from './nextFocus.ts';
import {
  kernelChoices,
  kernelFor,
  ownName,
  withOwnPresets
} from './outlook.ts';
import { OutlookView, ScriptView, SoftwareView } from './outlookView.tsx';
import { Refusal } from './refusal.ts';
import type { Words } from './words.ts';

/** What the form begins with: an earlier cluster's values, and the kernel of the notebook at hand. */
export interface Beginning {
  earlier?: Start;
  notebook?: string;
}

/** The form's values and problems, what is asked about them meanwhile, and their drawing. */
export class StartForm extends ReactWidget {
  private _isBusy = false;
  private _api: Api;
  private _parts: FormParts;
  private _trans: Words;
  private _notebook: string | undefined;
  private _inputs: Inputs;
  private _problems: Problems = {};
  private _presetName = '';
  private _scriptOpen = false;
  private _redraw = new Signal<this, void>(this);
  private _nextFocus = new NextFocus(this.node);
  private _software: Latest<string, Software>;
  private _outlook: Latest<{ workers: number; request: Request }, Outlook>;
  private _script: Latest<Start, Script>;

  constructor(
    api: Api,
    parts: FormParts,
    trans: Words,
    { earlier, notebook }: Beginning
  ) {
    super();
    this.addClass('shopfloor-StartForm');
    this._api = api;
    this._parts = parts;
    this._trans = trans;
    this._notebook = parts.kernels.some(one => one.name === notebook)
      ? notebook
      : undefined;
    this._inputs = {
      ...inputsFrom(this._offer, earlier),
      kernel: kernelFor(parts.kernels, notebook, earlier?.kernel)
    };
    const redraw = () => this._redraw.emit();
    this._software = new Latest(
      kernel => api.software(kernel, this._notebook),
      redraw,
      0
    );
    this._outlook = new Latest(
      ({ workers, request }) => api.outlook(workers, request),
      redraw
    );
    this._script = new Latest(start => api.script(start), redraw);
    this._ask();
  }

  override dispose(): void {
    for (const one of [this._software, this._outlook, this._script]) {
      one.dispose();
    }
    super.dispose();
  }

  /** What to start, or null after drawing what there is to mend. */
  read(): Start | null {
    const result = startFrom(this._offer, this._inputs, this._trans);
    this._problems = 'problems' in result ? result.problems : {};
    this._show();
    return 'start' in result ? this._forNotebook(result.start) : null;
  }

  refuse(message: string, field: string | null): void {
    this._problems = problemsFrom(message, field, this._offer, this._inputs);
    this._show();
  }

  /** Whether Enter means something else here than to start the cluster, which it is elsewhere in a dialog. */
  takesEnter(target: EventTarget | null): boolean {
    if (target instanceof HTMLElement && target.id === PRESET_NAME) {
      void this._save();
      return true;
    }
    return false;
  }

  setBusy(busy: boolean): void {
    this._isBusy = busy;
    this._redraw.emit();
  }

  protected override render(): React.ReactElement {
    return <UseSignal signal={this._redraw}>{() => this._draw()}</UseSignal>;
  }

  private get _offer(): Offer {
    return withOwnPresets(this._parts);
  }

  private _draw(): React.ReactElement {
    const trans = this._trans;
    const { kernel } = this._inputs;
    const result = startFrom(this._offer, this._inputs, trans);
    const workers = 'start' in result ? mostWorkers(result.start) : NaN;
    const { told } = this._outlook;
    return (
      <FormView
        offer={this._offer}
        inputs={this._inputs}
        problems={this._problems}
        rooms={told && 'answer' in told ? told.answer.rooms : {}}
        busy={this._isBusy}
        trans={trans}
        presetName={this._presetName}
        onPresetName={name => {
          this._presetName = name;
          this._forget('presetName');
        }}
        onSave={() => void this._save()}
        onDelete={name => void this._delete(name)}
        onChange={(inputs, touched) => {
          this._inputs = inputs;
          this._ask();
          this._forget(touched);
        }}
      >
        <SelectInput
          id="kernel"
          label={trans.__('Software')}
          term={trans.__('kernel')}
          value={kernel}
          problem={this._problems.kernel}
          choices={kernelChoices(this._parts.kernels, trans)}
          onChange={chosen => {
            this._inputs = { ...this._inputs, kernel: chosen };
            this._ask();
            this._forget('kernel');
          }}
        />
        <SoftwareView told={this._software.told} trans={trans} />
        <OutlookView told={told} workers={workers} trans={trans} />
        <ScriptView
          told={this._script.told}
          trans={trans}
          onToggle={open => {
            this._scriptOpen = open;
            this._ask();
          }}
        />
        <FocusWhenDrawn next={this._nextFocus} />
      </FormView>
    );
  }

  /** Asks for what is told of these inputs; of inputs that cannot be started nothing is. */
  private _ask(): void {
    const result = startFrom(this._offer, this._inputs, this._trans);
    const start = 'start' in result ? this._forNotebook(result.start) : null;
    this._software.want(this._inputs.kernel || null);
    this._outlook.want(
      start && { workers: mostWorkers(start), request: start.request }
    );
    this._script.want(this._scriptOpen ? start : null);
  }

  private _forNotebook(start: Start): Start {
    const notebook = this._notebook;
    return notebook && notebook !== start.kernel
      ? { ...start, notebook }
      : start;
  }

  private _forget(touched: string): void {
    this._problems = Object.fromEntries(
      Object.entries(this._problems).filter(([name]) => name !== touched)
    );
    this._redraw.emit();
  }

  private async _save(): Promise<void> {
    const result = startFrom(this._offer, this._inputs, this._trans);
    const name = this._presetName.trim();
    if ('problems' in result || !name) {
      this._problems = 'problems' in result ? result.problems : {};
      this._show();
      return;
    }
    await this._orTell(async () => {
      const saved = await this._api.savePreset(name, result.start.request);
      const others = this._parts.presets.filter(one => one.name !== saved.name);
      this._parts = { ...this._parts, presets: [...others, saved] };
      this._presetName = '';
      this._inputs = choosePreset(
        this._offer,
        this._inputs,
        ownName(saved.name)
      );
    });
  }

  private async _delete(name: string): Promise<void> {
    await this._orTell(async () => {
      await this._api.deletePreset(name);
      const presets = this._parts.presets.filter(one => one.name !== name);
      if (this._inputs.preset === ownName(name)) {
        this._inputs = { ...this._inputs, preset: CUSTOM };
      }
      this._parts = { ...this._parts, presets };
    });
  }

  private async _orTell(change: () => Promise<void>): Promise<void> {
    try {
      await change();
      // What had the focus is gone, and without it keys no longer reach the dialog.
      this._nextFocus.want('input:checked');
      this._ask();
      this._forget('presetName');
    } catch (error) {
      if (!(error instanceof Refusal)) {
        throw error;
      }
      this._problems = { ...this._problems, presetName: error.message };
      this._show();
    }
  }

  /** Draws, and takes the focus to the first thing to mend. */
  private _show(): void {
    if (Object.keys(this._problems).length) {
      this._nextFocus.want('[aria-invalid="true"]');
    }
    this._redraw.emit();
  }
}
