/** What all of Shopfloor's commands have in common in Lab's palette and launcher. */

/** A name, and so the same in every language. */
export const CATEGORY = 'Shopfloor';

/** Commands name themselves in full in the palette, where nothing around them says what they are about. */
export const PALETTE_ARGUMENTS = {
  type: 'object',
  properties: {
    isPalette: {
      type: 'boolean',
      description: 'Whether it is shown in the command palette'
    }
  }
} as const;

/** For commands that take none. */
export const NO_ARGUMENTS = { type: 'object', properties: {} } as const;
