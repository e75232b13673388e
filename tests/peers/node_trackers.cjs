// Makes the calls on standard input with a tracker's own library: node_trackers.cjs PACKAGE URL KEY [VARIANT]
// Each call is [method, ...arguments], as its documentation has them; a text that is an ISO time is one in `timestamp`.
const { readFileSync } = require("fs");
const { join } = require("path");
const { subscribe } = require("diagnostics_channel");

const [name, url, key, variant] = [process.argv[2], ...process.argv.slice(-2), process.argv.length > 5 ? process.argv[3] : ""];
const library = require(name);
const { version } = JSON.parse(readFileSync(join(__dirname, "node_modules", name, "package.json")));
const calls = JSON.parse(readFileSync(0));
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function posthog() {
  const lost = [];
  const retries = variant === "impatient" ? 1 : 100;
  const client = new library.PostHog(key, { host: url, flushAt: 20, flushInterval: 200, fetchRetryCount: retries, fetchRetryDelay: 300 });
  client.on("error", (error) => lost.push(String(error)));
  for (const [call, said] of calls) {
    if (said.timestamp) said.timestamp = new Date(said.timestamp);
    client[call](said);
  }
  await client.shutdown(60000);
  return lost;
}

async function snowplow() {
  const kept = [];
  const eventStore = {  // what the library keeps is looked at, so that the process ends when all is given away
    count: async () => kept.length, add: async (event) => kept.push(event),
    removeHead: async (n) => void kept.splice(0, n), getAllPayloads: async () => kept.map((each) => each.payload),
    getAll: async () => kept, iterator: () => { let n = 0; return { next: async () => ({ value: kept[n], done: n++ >= kept.length }) }; },
  };
  const options = { endpoint: url, eventMethod: variant || "post", bufferSize: 20, eventStore };
  const tracker = library.newTracker({ namespace: "t", appId: key, encodeBase64: true }, options);
  for (const [call, said, when, user] of calls) {
    tracker.setDomainUserId(user.duid);
    tracker.setUserId(user.uid);
    tracker.track(library[call](said), user.context, when && { type: "ttm", value: when });
  }
  for (let n = 0; n < 300 && (n === 0 || kept.length); n++) {
    await tracker.flush();
    await pause(100);
  }
  return kept.map(String);
}

// The library sends once and tells the app with `error` that something was not taken; what the app does is its own.
async function matomo() {
  const lost = [];
  const tracker = new library(key, `${url}/matomo.php`);
  const bulk = (events) => new Promise((resolve) => {
    tracker.removeAllListeners("error");
    tracker.on("error", (error) => resolve(String(error)));
    tracker.trackBulk(events.map((each) => ({ ...each })), () => setImmediate(resolve));
  });
  if (variant === "single") {
    tracker.on("error", (error) => lost.push(String(error)));
    let answered = 0;  // the library reads no answer to its end, so that the process would not end by itself
    const all = new Promise((resolve) => subscribe("http.client.response.finish", () => ++answered === calls.length && setImmediate(resolve)));
    for (const [, said] of calls) tracker.track(said);
    await all;
    return lost;
  }
  for (let n = 0; n < calls.length; n += 20) {
    const events = calls.slice(n, n + 20).map(([, said]) => said);
    let error, tries = 0;
    while ((error = await bulk(events)) && tries++ < 100) await pause(200);
    if (error) lost.push(error);
  }
  return lost;
}

// The library writes and reads messages; sending them is the app's, and so is sending them again.
async function cloudevents() {
  const lost = [];
  const post = async ({ headers, body }) => {
    for (let tries = 0; tries < 100; tries++) {
      const answer = await fetch(`${url}/v1/facts`, { method: "POST", headers: { ...headers, authorization: `Bearer ${key}` }, body }).catch(() => null);
      if (answer?.ok) return lost.push(...(await answer.json()).rejected.map(JSON.stringify));
      if (answer && answer.status < 500 && answer.status !== 429) return lost.push(await answer.text());
      await pause(200);
    }
    lost.push("nobody there");
  };
  const events = calls.map(([, said]) => new library.CloudEvent(said));
  if (variant === "batch") {
    for (let n = 0; n < events.length; n += 20) {
      await post({ headers: { "content-type": library.CONSTANTS.MIME_CE_BATCH }, body: JSON.stringify(events.slice(n, n + 20)) });
    }
  } else {
    const emit = library.emitterFor(post, { mode: variant === "binary" ? library.Mode.BINARY : library.Mode.STRUCTURED });
    for (const event of events) await emit(event);
  }
  return lost;
}

const runs = { "posthog-node": posthog, "@snowplow/node-tracker": snowplow, "matomo-tracker": matomo, cloudevents };
runs[name]().then((lost) => process.stdout.write(`${JSON.stringify({ version, lost })}\n`, () => process.exit(0)));
