/** Server-sent events out of the body of an answer: their JSON, and the signs of life between them. */

/** Each event's data; null for a comment, which only says that somebody is there. Throws SyntaxError. */
export async function* readEvents<Event>(
  body: ReadableStream<Uint8Array>
): AsyncGenerator<Event | null, void, undefined> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let rest = '';
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) {
        return;
      }
      const lines = (rest + decoder.decode(value, { stream: true })).split(
        '\n'
      );
      rest = lines.pop() ?? '';
      for (const line of lines) {
        if (line.startsWith('data:')) {
          yield JSON.parse(line.slice(5)) as Event;
        } else if (line.startsWith(':')) {
          yield null;
        }
      }
    }
  } finally {
    // Whoever stops listening closes the connection.
    void reader.cancel().catch(() => undefined);
  }
}
