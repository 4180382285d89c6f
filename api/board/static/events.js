// Server-sent events, read with fetch: EventSource sends no Authorization.

// The server sends something every 15 s. A connection that is silent for longer is broken.
const MAX_SILENCE_MS = 45_000;

/** Yield the events of a response, { name, data } each, until its connection ends. */
export async function* readEvents(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { done, value } = await read(reader);
    if (done) return;
    const blocks = (text + value).split("\n\n");
    text = blocks.pop();
    for (const { event, data } of blocks.map(fieldsOf)) {
      if (event) yield { name: event, data: JSON.parse(data) };
    }
  }
}

/** Read on; a connection that is lost or was aborted has ended. */
async function read(reader) {
  const timer = setTimeout(() => reader.cancel(), MAX_SILENCE_MS);
  try {
    return await reader.read();
  } catch {
    return { done: true };
  } finally {
    clearTimeout(timer);
  }
}

const fieldsOf = (block) =>
  Object.fromEntries(block.split("\n").map((line) => line.split(/: (.*)/s, 2)));
