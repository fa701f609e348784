/** Server-sent events: what is read out of the bytes of an answer. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { readEvents } from '../events.ts';

/** The bytes of an answer in these pieces. */
function body(...pieces: (string | Uint8Array)[]): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  return new ReadableStream({
    start(controller) {
      for (const piece of pieces) {
        controller.enqueue(
          typeof piece === 'string' ? encoder.encode(piece) : piece
        );
      }
      controller.close();
    }
  });
}

async function all<T>(events: AsyncIterable<T>): Promise<T[]> {
  const found = [];
  for await (const event of events) {
    found.push(event);
  }
  return found;
}

test('events are whole however the bytes are cut, and comments are signs of life', async () => {
  const bytes = new TextEncoder().encode('data: {"name":"Jürgen"}\n\n:\n\n');
  const pieces = [...bytes].map(byte => new Uint8Array([byte]));
  assert.deepEqual(await all(readEvents(body(...pieces))), [
    { name: 'Jürgen' },
    null
  ]);
  assert.deepEqual(
    await all(readEvents(body('data: 1\n\ndata: 2\n\nda'))),
    [1, 2]
  );
});

test('what is no event of ours is an error', async () => {
  await assert.rejects(all(readEvents(body('data: <html>\n'))), SyntaxError);
});

test('who stops listening closes the connection', async () => {
  let closed = false;
  const endless = new ReadableStream<Uint8Array>({
    pull: controller => controller.enqueue(new TextEncoder().encode(':\n')),
    cancel: () => {
      closed = true;
    }
  });
  for await (const event of readEvents(endless)) {
    assert.equal(event, null);
    break;
  }
  assert.ok(closed);
});
