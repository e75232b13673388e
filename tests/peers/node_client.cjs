// Makes the calls on standard input with Segment's or RudderStack's own library: node_client.cjs PACKAGE URL KEY
const { readFileSync } = require("fs");
const { join } = require("path");

const [name, url, key] = process.argv.slice(2);
const library = require(name);
const { version } = JSON.parse(readFileSync(join(__dirname, "node_modules", name, "package.json")));
const calls = JSON.parse(readFileSync(0)).map((each) => ({ ...each, timestamp: new Date(each.timestamp) }));

async function segment() {
  const lost = [];
  const client = new library.Analytics({ writeKey: key, host: url, flushAt: 20, flushInterval: 200 });
  client.on("error", (error) => lost.push(String(error.reason || error)));
  for (const { call, ...said } of calls) client[call](said);
  await client.closeAndFlush({ timeout: 60000 });
  return lost;
}

async function rudder() {
  const lost = [];
  const client = new library(key, {
    dataPlaneUrl: url, flushAt: 20, flushInterval: 200, retryCount: 12, errorHandler: (error) => lost.push(String(error)),
  });
  for (const { call, ...said } of calls) client[call](said);
  while (client.queue.length) await client.flush();
  await client.pendingFlush;
  return lost;
}

(name.startsWith("@segment") ? segment() : rudder()).then((lost) => {
  console.log(JSON.stringify({ version, lost }));
});
