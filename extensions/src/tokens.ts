/** What the plugins of this extension share: there is one list of kernels, and one word on the server's own job. */

import { Token } from '@lumino/coreutils';

import type { KernelsPart } from './panel.tsx';
import type { Session } from './session.ts';

export const IKernels = new Token<KernelsPart>(
  'shopfloor-lab:IKernels',
  'The kernels that are jobs, and what can be done with them.'
);

export const ISession = new Token<Session>(
  'shopfloor-lab:ISession',
  'The job that this server runs in.'
);
