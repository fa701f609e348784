/** The server's answers as the panel hears them: whatever goes wrong on the way is one sentence, never a broken promise. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ServerConnection } from '@jupyterlab/services';

import { Api } from '../api.ts';
import { Refusal } from '../refusal.ts';
import { english } from './support.ts';

/** An API whose server gives this answer to everything. */
function answering(answer: () => Response | Promise<Response>): Api {
  return new Api(
    ServerConnection.makeSettings({
      baseUrl: 'http://localhost:8888/user/alice/',
      fetch: async () => answer()
    }),
    english
  );
}

const refusal = (message: RegExp, status: number | null) => (error: unknown) =>
  error instanceof Refusal &&
  message.test(error.message) &&
  error.status === status;

test('a page instead of JSON, as a proxy sends it, is a refusal', async () => {
  const api = answering(() => new Response('<html>Log in</html>'));
  await assert.rejects(
    api.clusters(),
    refusal(/^Something between here and your server answered/, 200)
  );
});

test('an answer that breaks off is a refusal', async () => {
  for (const error of [
    new TypeError('network error'),
    new DOMException('timed out', 'TimeoutError')
  ]) {
    const body = () =>
      new ReadableStream({ start: controller => controller.error(error) });
    await assert.rejects(
      answering(() => new Response(body())).clusters(),
      refusal(/^Your server does not answer/, null)
    );
    await assert.rejects(
      answering(() => new Response(body(), { status: 502 })).clusters(),
      refusal(/^Your server does not answer/, null)
    );
  }
});

test('an answer without a body is no failure of an order', async () => {
  await answering(() => new Response(null, { status: 204 })).remove('c1');
});

test('a refusal keeps sentence, field and status; a page of errors its status', async () => {
  const body = JSON.stringify({ message: 'cpus: 9 …', field: 'cpus' });
  await assert.rejects(
    answering(() => new Response(body, { status: 400 })).clusters(),
    (error: unknown) => error instanceof Refusal && error.field === 'cpus'
  );
  await assert.rejects(
    answering(() => new Response('<html>', { status: 502 })).clusters(),
    refusal(/error 502/, 502)
  );
});

test('a stream that is a page, and one that breaks off, are refusals', async () => {
  const read = async (api: Api) => {
    const events = api.clusterEvents(new AbortController().signal);
    for await (const event of events) {
      assert.fail(`told ${JSON.stringify(event)}`);
    }
  };
  await assert.rejects(
    read(answering(() => new Response('<html>'))),
    refusal(/^Something between/, null)
  );
  const broken = new ReadableStream({
    start: controller => controller.error(new TypeError('network error'))
  });
  const headers = { 'Content-Type': 'text/event-stream' };
  await assert.rejects(
    read(answering(() => new Response(broken, { headers }))),
    refusal(/^Your server does not answer/, null)
  );
});
