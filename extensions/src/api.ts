/** The server extension's REST API as functions; every failure arrives as one `Refusal` with a sentence. */

import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';

import type {
  Cluster,
  ClusterEvent,
  FormParts,
  NoJob,
  Ordered,
  Outlook,
  Plot,
  Preset,
  Range,
  Request,
  Script,
  Session,
  Software,
  Start
} from './contract.ts';
import { readEvents } from './events.ts';
import type {
  GpuTime,
  Chosen,
  JobKernel,
  JobKernelList,
  KernelStart,
  Run
} from './kernelContract.ts';
import { Refusal } from './refusal.ts';
import type { Share, SharedItem, SharedView, Sharing } from './sharing.ts';
import type { Words } from './words.ts';

/** How long to wait for an answer to a question, and to an order that hands jobs over, in milliseconds. */
const ASK_TIMEOUT = 20_000;
const ORDER_TIMEOUT = 90_000;

export class Api {
  private _settings: ServerConnection.ISettings;
  private _trans: Words;

  constructor(settings: ServerConnection.ISettings, trans: Words) {
    this._settings = settings;
    this._trans = trans;
  }

  form(): Promise<FormParts> {
    return this._ask('GET', ['form']);
  }

  /** The versions of a kernel, held against those of the notebook's. */
  software(kernel: string, notebook?: string): Promise<Software> {
    return this._ask('GET', ['kernels', kernel], undefined, { notebook });
  }

  outlook(workers: number, request: Request): Promise<Outlook> {
    return this._ask('POST', ['form', 'outlook'], { workers, request });
  }

  script(start: Start): Promise<Script> {
    return this._ask('POST', ['form', 'script'], start);
  }

  savePreset(name: string, request: Request): Promise<Preset> {
    return this._ask('PUT', ['form', 'presets', name], { request });
  }

  async deletePreset(name: string): Promise<void> {
    await this._ask('DELETE', ['form', 'presets', name]);
  }

  clusters(): Promise<{ clusters: Cluster[]; server_time: number }> {
    return this._ask('GET', ['clusters']);
  }

  /** What happens to the clusters, until the server ends the stream; null is a sign of life. Throws `Refusal`. */
  async *clusterEvents(
    signal: AbortSignal
  ): AsyncGenerator<ClusterEvent | null, void, undefined> {
    const answer = await this._request('GET', ['clusters', 'events'], signal);
    const type = answer.headers.get('Content-Type') ?? '';
    if (!answer.body || !type.startsWith('text/event-stream')) {
      throw this._stranger();
    }
    try {
      yield* readEvents<ClusterEvent>(answer.body);
    } catch (error) {
      if (error instanceof SyntaxError) {
        throw this._stranger();
      }
      throw this._broken(error);
    }
  }

  start(start: Start): Promise<Ordered> {
    return this._ask('POST', ['clusters'], start);
  }

  scale(id: string, workers: number): Promise<Ordered> {
    return this._ask('PATCH', ['clusters', id], { workers });
  }

  adapt(id: string, adapt: Range): Promise<Ordered> {
    return this._ask('PATCH', ['clusters', id], { adapt });
  }

  /** Says that a cluster is wanted, though it computes nothing. */
  keepCluster(id: string): Promise<Ordered> {
    return this._ask('PATCH', ['clusters', id], { keep: true });
  }

  /** Stops a living cluster; one that has ended is refused, for its end is to be read. */
  async stop(id: string): Promise<void> {
    await this._ask('DELETE', ['clusters', id], undefined, { living: 'true' });
  }

  /** Takes an ended cluster off the list; stops one that lives after all. */
  async remove(id: string): Promise<void> {
    await this._ask('DELETE', ['clusters', id]);
  }

  /** The source of the cell that connects a notebook with this kernel to the cluster. */
  async cell(id: string, kernel?: string): Promise<string> {
    const { source } = await this._ask<{ source: string }>(
      'GET',
      ['clusters', id, 'cell'],
      undefined,
      { kernel }
    );
    return source;
  }

  /** What can be drawn of a cluster. */
  async plots(id: string): Promise<Plot[]> {
    const { plots } = await this._ask<{ plots: Plot[] }>('GET', [
      'clusters',
      id,
      'plots'
    ]);
    return plots;
  }

  /** The address at which a plot can be seen now, for some minutes. */
  async plotAddress(
    id: string,
    plot: string,
    theme: 'light' | 'dark'
  ): Promise<string> {
    const { path } = await this._ask<{ path: string }>(
      'POST',
      ['clusters', id, 'plots'],
      { plot, theme }
    );
    return this._settings.baseUrl + path;
  }

  /** What explains troubles, as Markdown: a section for each kind, in this order. */
  troublesPage(): Promise<{ page: string; kinds: string[] }> {
    return this._ask('GET', ['troubles']);
  }

  /** Who sees a cluster of mine, or null, and the teams that it can be shown to. */
  share(id: string): Promise<{ share: Share | null; teams: string[] }> {
    return this._ask('GET', ['clusters', id, 'share']);
  }

  showTo(id: string, sharing: Sharing): Promise<{ share: Share }> {
    return this._ask('PUT', ['clusters', id, 'share'], sharing);
  }

  async takeBack(id: string): Promise<void> {
    await this._ask('DELETE', ['clusters', id, 'share']);
  }

  /** What others show to me. */
  shared(): Promise<{ shared: SharedItem[] }> {
    return this._ask('GET', ['shared']);
  }

  sharedView(owner: string, id: string): Promise<SharedView> {
    return this._ask('GET', ['shared', owner, id]);
  }

  /** Puts the example notebooks among the person's files; the path of the first one. */
  async examples(): Promise<string> {
    const { path } = await this._ask<{ path: string }>('POST', ['examples']);
    return path;
  }

  /** What the form for a kernel is drawn from, with the kernels of every language. */
  kernelForm(): Promise<FormParts> {
    return this._ask('GET', ['job-kernels', 'form']);
  }

  kernelOutlook(request: Chosen): Promise<Outlook> {
    return this._ask('POST', ['job-kernels', 'outlook'], { request });
  }

  jobKernels(): Promise<JobKernelList> {
    return this._ask('GET', ['job-kernels']);
  }

  /** There at once, though it may wait for hours. */
  startKernel(start: KernelStart): Promise<JobKernel> {
    return this._ask('POST', ['job-kernels'], start);
  }

  /** Says that a kernel is wanted, though it computes nothing. */
  keepKernel(id: string): Promise<JobKernel> {
    return this._ask('PATCH', ['job-kernels', id], { keep: true });
  }

  /** Cancels one that waits, ends one that runs; one that has ended is refused, for its end is to be read. */
  async stopKernel(id: string): Promise<void> {
    await this._ask('DELETE', ['job-kernels', id], undefined, {
      living: 'true'
    });
  }

  /** Takes one that has ended off the list, and what it printed with it. */
  async removeKernel(id: string): Promise<void> {
    await this._ask('DELETE', ['job-kernels', id]);
  }

  /** What this person's jobs held and used of GPUs this month. */
  gpuTime(): Promise<GpuTime> {
    return this._ask('GET', ['gpu-time']);
  }

  /** What the last run of each cell printed. */
  async runs(id: string): Promise<Run[]> {
    const { runs } = await this._ask<{ runs: Run[] }>('GET', [
      'job-kernels',
      id,
      'runs'
    ]);
    return runs;
  }

  /** Says that the notebook of a kernel that has ended is saved with what its cells printed. */
  async outputsSaved(id: string): Promise<void> {
    await this._ask('DELETE', ['job-kernels', id, 'runs']);
  }

  session(): Promise<Session | NoJob> {
    return this._ask('GET', ['session']);
  }

  /** Says that a person is there. */
  async keep(): Promise<void> {
    await this._ask('POST', ['session', 'keep']);
  }

  private async _ask<T>(
    method: string,
    path: string[],
    body?: object,
    query: Record<string, string | undefined> = {}
  ): Promise<T> {
    const timeout = method === 'GET' ? ASK_TIMEOUT : ORDER_TIMEOUT;
    const answer = await this._request(
      method,
      path,
      AbortSignal.timeout(timeout),
      body,
      query
    );
    const text = await this._read(answer);
    const told = text ? parse(text) : undefined;
    if (text && told === undefined) {
      // A page with status 200, such as a login, is as little of ours as one with an error.
      throw this._stranger(answer.status);
    }
    // What contract.ts says of the routes is held by their tests.
    return told as T;
  }

  /** The body of an answer. Throws `Refusal` where it breaks off. */
  private async _read(answer: Response): Promise<string> {
    try {
      return await answer.text();
    } catch (error) {
      throw this._broken(error);
    }
  }

  /** What to throw for an error while an answer is read: fetch's own, when the connection breaks or is closed by us. */
  private _broken(error: unknown): unknown {
    return error instanceof TypeError || error instanceof DOMException
      ? new Refusal(this._trans.__('Your server does not answer.'))
      : error;
  }

  private _stranger(status: number | null = null): Refusal {
    return new Refusal(
      this._trans.__('Something between here and your server answered.'),
      null,
      status
    );
  }

  /** The answer, if it is no refusal. */
  private async _request(
    method: string,
    path: string[],
    signal: AbortSignal,
    body?: object,
    query: Record<string, string | undefined> = {}
  ): Promise<Response> {
    const given = Object.entries(query).filter(([, value]) => value);
    const url =
      URLExt.join(
        this._settings.baseUrl,
        'shopfloor/api',
        ...path.map(encodeURIComponent)
      ) + URLExt.objectToQueryString(Object.fromEntries(given));
    let response: Response;
    try {
      response = await ServerConnection.makeRequest(
        url,
        {
          method,
          signal,
          ...(body ? { body: JSON.stringify(body) } : {})
        },
        this._settings
      );
    } catch (error) {
      if (error instanceof ServerConnection.NetworkError) {
        throw new Refusal(this._trans.__('Your server does not answer.'));
      }
      throw error;
    }
    if (response.ok) {
      return response;
    }
    const answer = parse(await this._read(response));
    throw new Refusal(
      textOf(answer, 'message') ||
        this._trans.__('Your server answered with error %1.', response.status),
      textOf(answer, 'field'),
      response.status
    );
  }
}

/** The JSON of an answer; undefined for what is none, as a proxy on the way answers. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) {
      return undefined;
    }
    throw error;
  }
}

/** A text in an answer, or null where there is none. */
function textOf(answer: unknown, name: string): string | null {
  const value: unknown =
    typeof answer === 'object' && answer !== null
      ? Reflect.get(answer, name)
      : null;
  return typeof value === 'string' ? value : null;
}
