/** Which plot of which cluster a pane shows: what it is found again by, and what its command takes. */

export interface PlotOf {
  cluster: string;
  /** The cluster's name. */
  name: string;
  plot: string;
  /** The plot's. */
  title: string;
}

/** The same as a schema, for who writes shortcuts or links to the command. */
export const PLOT_ARGUMENTS = {
  type: 'object',
  properties: {
    cluster: { type: 'string', description: 'The id of the cluster' },
    name: { type: 'string', description: 'The name of the cluster' },
    plot: { type: 'string', description: 'The name of the plot' },
    title: { type: 'string', description: 'What people call the plot' }
  },
  required: ['cluster', 'name', 'plot', 'title']
} as const;

/** What a command was given, or null where it is no plot: a layout may be of another version, a link anybody's. */
export function readPlotOf(args: Record<string, unknown>): PlotOf | null {
  const { cluster, name, plot, title } = args;
  return typeof cluster === 'string' &&
    typeof name === 'string' &&
    typeof plot === 'string' &&
    typeof title === 'string'
    ? { cluster, name, plot, title }
    : null;
}
