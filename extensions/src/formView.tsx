/** How the start form is drawn; `startForm.tsx` holds what it shows. */

import React from 'react';

import type { Offer } from './contract.ts';
import {
  CUSTOM,
  choosePreset,
  type Inputs,
  type Problems,
  shownFields
} from './form.ts';
import { Card, FieldInput, inputId, TextInput } from './inputs.tsx';
import type { Words } from './words.ts';

const PRESET = 'presetName';

/** The id of the input in which a preset is named. */
export const PRESET_NAME = inputId(PRESET);

interface FormProps {
  offer: Offer;
  inputs: Inputs;
  problems: Problems;
  /** What is free, in words by preset. */
  rooms: Record<string, string>;
  busy: boolean;
  trans: Words;
  presetName: string;
  /** What stands between the fields and the foot. */
  children: React.ReactNode;
  onPresetName: (name: string) => void;
  onSave: () => void;
  onDelete: (name: string) => void;
  onChange: (inputs: Inputs, touched: string) => void;
}

/** Cards, fields and what stands below them. */
export function FormView(props: FormProps): React.ReactElement {
  const { offer, inputs, problems, busy, trans, onChange } = props;
  const shown = shownFields(offer);
  const custom = inputs.preset === CUSTOM;
  const placed = new Set([
    ...['name', 'workers', 'kernel'],
    ...(custom
      ? ['presetName', 'lasts', ...shown.map(field => field.name)]
      : [])
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
          help={trans.__('A range such as 0–8 follows the work.')}
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
            more={props.rooms[preset.name]}
            disabled={preset.disabled}
            checked={inputs.preset === preset.name}
            onChoose={() =>
              onChange(choosePreset(offer, inputs, preset.name), 'preset')
            }
            deletion={
              preset.own
                ? {
                    label: trans.__('Delete the preset “%1”', preset.label),
                    onDelete: () => props.onDelete(preset.label)
                  }
                : undefined
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
          <TextInput
            id="lasts"
            label={trans.__('Cluster lasts (optional)')}
            help={trans.__(
              'Longer than its workers, whose places are then taken by new ones; else as long as each of them.'
            )}
            value={inputs.lasts}
            problem={problems.lasts}
            onChange={lasts => onChange({ ...inputs, lasts }, 'lasts')}
          />
          <SavePreset {...props} />
        </div>
      )}
      {props.children}
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

/** Keeps the fields under a name of the person's. */
function SavePreset(props: FormProps): React.ReactElement {
  const { presetName, problems, trans, onPresetName, onSave } = props;
  return (
    <div className="shopfloor-StartForm-save">
      <TextInput
        id={PRESET}
        label={trans.__('Keep these values as a preset')}
        value={presetName}
        problem={problems.presetName}
        onChange={onPresetName}
      />
      <button
        type="button"
        className="jp-mod-styled"
        disabled={!presetName.trim()}
        onClick={onSave}
      >
        {trans.__('Save as preset')}
      </button>
    </div>
  );
}

function workersLabel(offer: Offer, trans: Words): string {
  const max = offer.limits.workers?.max;
  return typeof max === 'number'
    ? trans.__('Workers (1–%1)', max)
    : trans.__('Workers');
}
