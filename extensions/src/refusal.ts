/** The one error that a person is meant to read; thrown by `api.ts`, shown by whoever asked. */

/**
 * A request that failed: `message` is a sentence, `field` names what it is about, if anything, and `status` is HTTP's,
 * or null where nobody answered.
 */
export class Refusal extends Error {
  readonly field: string | null;
  readonly status: number | null;

  constructor(
    message: string,
    field: string | null = null,
    status: number | null = null
  ) {
    super(message);
    this.name = 'Refusal';
    this.field = field;
    this.status = status;
  }
}
