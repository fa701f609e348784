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

/** The same where it also stands in the menu of what can be started. */
export const NEW_ARGUMENTS = {
  type: 'object',
  properties: {
    ...PALETTE_ARGUMENTS.properties,
    isMenu: {
      type: 'boolean',
      description: 'Whether it is shown in the menu of the panel'
    }
  }
} as const;

/** The command that asks for a notebook on a compute node. */
export const NEW_NOTEBOOK = 'shopfloor:new-notebook-on-node';

/** For commands that take none. */
export const NO_ARGUMENTS = { type: 'object', properties: {} } as const;

/** For those of a notebook on a compute node. */
export const NOTEBOOK_ARGUMENTS = {
  type: 'object',
  properties: {
    isPalette: {
      type: 'boolean',
      description: 'Whether it is shown in the command palette'
    },
    isLauncher: {
      type: 'boolean',
      description: 'Whether it is shown in the launcher, as a kernel'
    },
    cwd: {
      type: 'string',
      description: 'The folder in which the notebook is made'
    },
    kernelName: {
      type: 'string',
      description: "The kernelspec's name that is chosen at first"
    }
  }
} as const;
