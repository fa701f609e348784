/** The inputs of the start dialog: each with its label, and its problem where a screen reader finds it. */

import React from 'react';

import type { Field, Offer } from './contract.ts';
import { fieldChoices, fieldLabel } from './form.ts';
import type { Words } from './words.ts';

/** A choice card: a radio button, drawn as a box. */
export function Card(props: {
  name: string;
  label: string;
  text: string;
  /** A second line, such as what is free. */
  more?: string;
  disabled: string | null;
  checked: boolean;
  /** For one that the person may delete: what the button says, and does. */
  deletion?: { label: string; onDelete: () => void };
  onChoose: () => void;
}): React.ReactElement {
  const { name, label, text, more, disabled, checked, deletion } = props;
  const card = (
    <label
      className={`shopfloor-Card${checked ? ' shopfloor-mod-chosen' : ''}`}
      data-testid={`shopfloor-preset-${name}`}
      data-disabled={disabled !== null}
    >
      <input
        type="radio"
        name="shopfloor-preset"
        value={name}
        checked={checked}
        disabled={disabled !== null}
        onChange={props.onChoose}
      />
      <span className="shopfloor-Card-label">{label}</span>
      <span className="shopfloor-Card-text">{disabled ?? text}</span>
      {more && !disabled && <span className="shopfloor-Card-text">{more}</span>}
    </label>
  );
  return deletion ? (
    // Beside the label, not in it: a click on it must not choose the card.
    <div className="shopfloor-Card-own">
      {card}
      <button
        type="button"
        className="shopfloor-Card-delete"
        title={deletion.label}
        aria-label={deletion.label}
        onClick={deletion.onDelete}
      >
        ×
      </button>
    </div>
  ) : (
    card
  );
}

interface InputProps {
  id: string;
  label: string;
  value: string;
  problem?: string;
  term?: string;
  help?: string;
  numeric?: boolean;
  /** The most characters. */
  length?: number;
  onChange: (value: string) => void;
}

function Labelled(
  props: Omit<InputProps, 'value' | 'onChange'> & {
    children: React.ReactNode;
  }
): React.ReactElement {
  const { id, label, term, help, problem, children } = props;
  return (
    <div className="shopfloor-Field">
      <label htmlFor={inputId(id)}>{label}</label>
      {term && <span className="shopfloor-Grey"> {term}</span>}
      {children}
      {help && (
        <div id={`shopfloor-help-${id}`} className="shopfloor-Grey">
          {help}
        </div>
      )}
      <div
        id={`shopfloor-problem-${id}`}
        role="alert"
        className="shopfloor-Problem"
      >
        {problem}
      </div>
    </div>
  );
}

/** The id of the element that a field is typed into. */
export function inputId(id: string): string {
  return `shopfloor-field-${id}`;
}

function described(id: string, help?: string): string {
  return `${help ? `shopfloor-help-${id} ` : ''}shopfloor-problem-${id}`;
}

/** A line of text with its label, help and problem. */
export function TextInput(props: InputProps): React.ReactElement {
  const { id, value, problem, help, numeric, onChange } = props;
  return (
    <Labelled {...props}>
      <input
        id={inputId(id)}
        className="jp-mod-styled"
        type="text"
        inputMode={numeric ? 'numeric' : 'text'}
        autoComplete="off"
        value={value}
        maxLength={props.length ?? 64}
        aria-invalid={problem !== undefined}
        aria-describedby={described(id, help)}
        onChange={event => onChange(event.target.value)}
      />
    </Labelled>
  );
}

/** A list to choose from, with its label, help and problem. */
export function SelectInput(
  props: InputProps & {
    choices: { value: string; label: string; disabled?: boolean }[];
  }
): React.ReactElement {
  const { id, value, problem, help, choices, onChange } = props;
  return (
    <Labelled {...props}>
      <select
        id={inputId(id)}
        className="jp-mod-styled"
        value={value}
        aria-invalid={problem !== undefined}
        aria-describedby={described(id, help)}
        onChange={event => onChange(event.target.value)}
      >
        {choices.map(choice => (
          <option
            key={choice.value}
            value={choice.value}
            disabled={choice.disabled}
          >
            {choice.label}
          </option>
        ))}
      </select>
    </Labelled>
  );
}

/** One row of the table of fields: a list where its values are given, a line of text otherwise. */
export function FieldInput(props: {
  field: Field;
  offer: Offer;
  value: string;
  problem?: string;
  trans: Words;
  onChange: (value: string) => void;
}): React.ReactElement {
  const { field, offer, value, problem, trans, onChange } = props;
  const shared = {
    id: field.name,
    label: fieldLabel(field, offer.limits[field.name], trans),
    term: field.term,
    help: field.help,
    problem
  };
  if (field.type !== 'choice') {
    return (
      <TextInput
        {...shared}
        value={value}
        numeric={field.type === 'integer'}
        onChange={onChange}
      />
    );
  }
  return (
    <SelectInput
      {...shared}
      value={value}
      choices={fieldChoices(field, offer, value, trans)}
      onChange={onChange}
    />
  );
}
