/** The dialog that starts a Dask cluster: cards and fields drawn from the offer; `form.ts` is its logic. */

import { Dialog, ReactWidget, UseSignal } from '@jupyterlab/apputils';
import { type ISignal, Signal } from '@lumino/signaling';
import React from 'react';

import type { Api } from './api.ts';
import type { Clusters } from './clusters.ts';
import type { Cluster, Offer, Start } from './contract.ts';
import {
  CUSTOM,
  choosePreset,
  type Inputs,
  inputsFrom,
  type Problems,
  problemsFrom,
  shownFields,
  startFrom
} from './form.ts';
import { Card, FieldInput, TextInput } from './inputs.tsx';
import { Refusal } from './refusal.ts';
import type { Words } from './words.ts';

/** Asks for a new cluster and starts it; null if the person thought better of it. Throws `Refusal`. */
export async function startCluster(
  api: Api,
  clusters: Clusters,
  trans: Words,
  earlier?: Start
): Promise<Cluster | null> {
  const offer = await api.offer();
  const body = new StartForm(offer, trans, earlier);
  const dialog = new StartDialog(body, clusters, trans);
  await dialog.launch();
  dialog.dispose();
  return dialog.started;
}

/** Stays open until the server took the order: a refusal belongs beside the field it names. */
class StartDialog extends Dialog<unknown> {
  started: Cluster | null = null;
  private _form: StartForm;
  private _clusters: Clusters;

  constructor(form: StartForm, clusters: Clusters, trans: Words) {
    super({
      title: trans.__('New Dask cluster'),
      body: form,
      buttons: [
        Dialog.cancelButton({ label: trans.__('Cancel') }),
        Dialog.okButton({
          label: trans.__('Start cluster'),
          ariaLabel: trans.__('Start cluster')
        })
      ],
      focusNodeSelector: 'input:checked'
    });
    this.addClass('shopfloor-StartDialog');
    this._form = form;
    this._clusters = clusters;
  }

  /** Lab closes its circle of Tab before React has drawn the form: the first input is put in here. */
  override handleEvent(event: Event): void {
    const last = this.node.querySelector('.jp-Dialog-footer .jp-mod-accept');
    if (
      event instanceof KeyboardEvent &&
      event.type === 'keydown' &&
      event.key === 'Tab' &&
      !event.shiftKey &&
      event.target === last
    ) {
      event.stopPropagation();
      event.preventDefault();
      this._form.node.querySelector('input')?.focus();
      return;
    }
    super.handleEvent(event);
  }

  override resolve(index = 1): void {
    if (index !== 1) {
      super.resolve(index);
    } else if (!this._form.busy) {
      void this._start();
    }
  }

  private async _start(): Promise<void> {
    const start = this._form.read();
    if (!start) {
      return;
    }
    this._form.setBusy(true);
    try {
      this.started = await this._clusters.start(start);
      super.resolve(1);
    } catch (error) {
      if (!(error instanceof Refusal)) {
        throw error;
      }
      this._form.refuse(error.message, error.field);
    } finally {
      this._form.setBusy(false);
    }
  }
}

/** The form's values and problems, and their drawing. */
class StartForm extends ReactWidget {
  busy = false;
  private _offer: Offer;
  private _trans: Words;
  private _inputs: Inputs;
  private _problems: Problems = {};
  private _redraw = new Signal<this, void>(this);

  constructor(offer: Offer, trans: Words, earlier?: Start) {
    super();
    this.addClass('shopfloor-StartForm');
    this._offer = offer;
    this._trans = trans;
    this._inputs = inputsFrom(offer, earlier);
  }

  /** What to start, or null after drawing what there is to mend. */
  read(): Start | null {
    const result = startFrom(this._offer, this._inputs, this._trans);
    this._problems = 'problems' in result ? result.problems : {};
    this._show();
    return 'start' in result ? result.start : null;
  }

  refuse(message: string, field: string | null): void {
    this._problems = problemsFrom(message, field, this._offer, this._inputs);
    this._show();
  }

  setBusy(busy: boolean): void {
    this.busy = busy;
    this._redraw.emit();
  }

  protected override render(): React.ReactElement {
    return (
      <UseSignal signal={this._redraw as ISignal<this, void>}>
        {() => (
          <FormView
            offer={this._offer}
            inputs={this._inputs}
            problems={this._problems}
            busy={this.busy}
            trans={this._trans}
            onChange={(inputs, touched) => {
              this._inputs = inputs;
              const { [touched]: _, ...rest } = this._problems;
              this._problems = rest;
              this._redraw.emit();
            }}
          />
        )}
      </UseSignal>
    );
  }

  /** Draws, and takes the focus to the first thing to mend. */
  private _show(): void {
    this._redraw.emit();
    requestAnimationFrame(() => {
      this.node.querySelector<HTMLElement>('[aria-invalid="true"]')?.focus();
    });
  }
}

interface FormProps {
  offer: Offer;
  inputs: Inputs;
  problems: Problems;
  busy: boolean;
  trans: Words;
  onChange(inputs: Inputs, touched: string): void;
}

function FormView(props: FormProps): React.ReactElement {
  const { offer, inputs, problems, busy, trans, onChange } = props;
  const shown = shownFields(offer);
  const custom = inputs.preset === CUSTOM;
  const placed = new Set([
    'name',
    'workers',
    ...(custom ? shown.map(field => field.name) : [])
  ]);
  const elsewhere = Object.keys(problems).filter(name => !placed.has(name));
  return (
    <div aria-busy={busy}>
      <div className="shopfloor-StartForm-pair">
        <TextInput
          id="name"
          label={trans.__('Name (optional)')}
          value={inputs.name}
          problem={problems.name}
          onChange={name => onChange({ ...inputs, name }, 'name')}
        />
        <TextInput
          id="workers"
          label={workersLabel(offer, trans)}
          value={inputs.workers}
          problem={problems.workers}
          numeric
          onChange={workers => onChange({ ...inputs, workers }, 'workers')}
        />
      </div>
      <fieldset className="shopfloor-Cards">
        <legend>{trans.__('Each worker gets')}</legend>
        {offer.presets.map(preset => (
          <Card
            key={preset.name}
            name={preset.name}
            label={preset.label}
            text={preset.hardware}
            disabled={preset.disabled}
            checked={inputs.preset === preset.name}
            onChoose={() =>
              onChange(choosePreset(offer, inputs, preset.name), 'preset')
            }
          />
        ))}
        <Card
          name={CUSTOM}
          label={trans.__('Custom')}
          text={trans.__('Choose each value yourself')}
          disabled={null}
          checked={custom}
          onChoose={() =>
            onChange(choosePreset(offer, inputs, CUSTOM), 'preset')
          }
        />
      </fieldset>
      {custom && (
        <div className="shopfloor-StartForm-fields">
          {shown.map(field => (
            <FieldInput
              key={field.name}
              field={field}
              offer={offer}
              value={inputs.fields[field.name]}
              problem={problems[field.name]}
              trans={trans}
              onChange={value =>
                onChange(
                  {
                    ...inputs,
                    fields: { ...inputs.fields, [field.name]: value }
                  },
                  field.name
                )
              }
            />
          ))}
        </div>
      )}
      <div role="alert" className="shopfloor-Problem">
        {elsewhere.map(name => problems[name]).join(' ')}
      </div>
      <div role="status" className="shopfloor-StartForm-foot shopfloor-Grey">
        {busy
          ? trans.__('Asking for it…')
          : trans.__('Closing the tab does not stop a cluster.')}
      </div>
    </div>
  );
}

function workersLabel(offer: Offer, trans: Words): string {
  const max = offer.limits.workers?.max;
  return typeof max === 'number'
    ? trans.__('Workers (1–%1)', max)
    : trans.__('Workers');
}
