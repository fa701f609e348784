/** A question that changes while somebody types: asked after a pause, and only the newest answer counts. */

import { Refusal } from './refusal.ts';

/** Milliseconds after the last change. */
const PAUSE = 400;

/** What is known of the newest question: nothing yet, its answer, or why there is none. */
export type Told<Answer> =
  { answer: Answer } | { problem: string } | { asking: true } | null;

export class Latest<Question, Answer> {
  private _ask: (question: Question) => Promise<Answer>;
  private _changed: () => void;
  private _pause: number;
  private _told: Told<Answer> = null;
  private _key: string | null = null;
  private _timer: ReturnType<typeof setTimeout> | undefined;

  /** `changed` is called whenever `told` may be another. */
  constructor(
    ask: (question: Question) => Promise<Answer>,
    changed: () => void,
    pause = PAUSE
  ) {
    this._ask = ask;
    this._changed = changed;
    this._pause = pause;
  }

  get told(): Told<Answer> {
    return this._told;
  }

  /** Asks soon, unless that is what was asked last; null: there is nothing to ask. */
  want(question: Question | null): void {
    const key = question === null ? null : JSON.stringify(question);
    if (key === this._key) {
      return;
    }
    clearTimeout(this._timer);
    this._key = key;
    if (question === null) {
      this._tell(null);
      return;
    }
    this._tell({ asking: true });
    this._timer = setTimeout(() => void this._put(question, key), this._pause);
  }

  /** Asks nothing more, and takes no answer. */
  dispose(): void {
    clearTimeout(this._timer);
    this._key = null;
    this._changed = () => undefined;
  }

  private async _put(question: Question, key: string | null): Promise<void> {
    let told: Told<Answer>;
    try {
      told = { answer: await this._ask(question) };
    } catch (error) {
      if (!(error instanceof Refusal)) {
        throw error;
      }
      told = { problem: error.message };
    }
    if (key === this._key) {
      this._tell(told);
    }
  }

  private _tell(told: Told<Answer>): void {
    this._told = told;
    this._changed();
  }
}
