/** How the forms that ask for jobs are drawn; `offerForm.tsx` holds what they show. */

import React from 'react';

import type { Offer } from './contract.ts';
import type { Problems } from './fieldValues.ts';
import { CUSTOM, choosePreset, type Picked, shownFields } from './form.ts';
import { Card, FieldInput, inputId, TextInput } from './inputs.tsx';
import type { Words } from './words.ts';

const PRESET = 'presetName';

/** The id of the input in which a preset is named. */
export const PRESET_NAME = inputId(PRESET);

export interface FormProps<T extends Picked> {
  offer: Offer;
  inputs: T;
  problems: Problems;
  /** What is free, in words by preset. */
  rooms: Record<string, string>;
  busy: boolean;
  trans: Words;
  presetName: string;
  /** What the cards are about. */
  legend: string;
  /** What stands above the cards, before the presets' cards, and after the fields of Custom. */
  head: React.ReactNode;
  first?: React.ReactNode;
  more?: React.ReactNode;
  /** What stands between the fields and the foot. */
  children: React.ReactNode;
  /** The problems that are shown there. */
  placed: string[];
  /** The last line. */
  foot: string;
  onPresetName: (name: string) => void;
  onSave: () => void;
  onDelete: (name: string) => void;
  onChange: (inputs: T, touched: string) => void;
}

/** Cards, fields and what stands around them. */
export function FormView<T extends Picked>(
  props: FormProps<T>
): React.ReactElement {
  const { offer, inputs, problems, busy, trans, onChange } = props;
  const shown = shownFields(offer);
  const custom = inputs.preset === CUSTOM;
  const placed = new Set([
    ...props.placed,
    ...(custom ? [PRESET, ...shown.map(field => field.name)] : [])
  ]);
  const elsewhere = Object.keys(problems).filter(name => !placed.has(name));
  return (
    <div aria-busy={busy}>
      {props.head}
      <fieldset className="shopfloor-Cards">
        <legend>{props.legend}</legend>
        {props.first}
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
          {props.more}
          <SavePreset
            presetName={props.presetName}
            problems={problems}
            trans={trans}
            onPresetName={props.onPresetName}
            onSave={props.onSave}
          />
        </div>
      )}
      {props.children}
      <div role="alert" className="shopfloor-Problem">
        {elsewhere.map(name => problems[name]).join(' ')}
      </div>
      <div role="status" className="shopfloor-StartForm-foot shopfloor-Grey">
        {busy ? trans.__('Asking for it…') : props.foot}
      </div>
    </div>
  );
}

/** Keeps the fields under a name of the person's. */
function SavePreset(
  props: Pick<
    FormProps<Picked>,
    'presetName' | 'problems' | 'trans' | 'onPresetName' | 'onSave'
  >
): React.ReactElement {
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
