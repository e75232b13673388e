// A headless Chromium and a web server for the pages that it visits, told what to do line by line (see browserkit.py).
//
// Each line on standard input is one step as JSON, each line of output its answer: {"value": …} or {"error": "…"}.
//   {"serve": {"/": {"html": "…"}, "/lib.js": {"file": "…"}}}   more pages of the site; answers its origin
//   {"open": {…}}       a new browser context (a person, with storage of its own) and a page in it; `dnt`, `gpc`: signals;
//                       `agent`: what the browser calls itself
//   {"goto": "/path"}   {"eval": "expression"}   {"until": "expression"}   {"offline": true}   {"click": "selector"}
//   {"said": true}      what the page wrote to its console, and its errors, until now
import { createServer } from "node:http";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
process.env.AWS_LAMBDA_JS_RUNTIME ??= "nodejs20.x"; // so that it unpacks the shared libraries that it needs, too
const { default: packed } = await import("@sparticuz/chromium");
const { chromium } = await import("playwright-core");

const PATIENCE = 30_000; // ms
const site = new Map();
const server = createServer((request, response) => {
  const found = site.get(request.url.split("?")[0]);
  const type = found?.file || found?.script ? "text/javascript" : "text/html; charset=utf-8";
  response.writeHead(found ? 200 : 404, { "Content-Type": type, "Cache-Control": "no-store" });
  response.end(found?.file ? readFileSync(found.file) : (found?.script ?? found?.html ?? "nothing here"));
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const origin = `http://localhost:${server.address().port}`;

const browser = await chromium.launch({
  executablePath: await packed.executablePath(),
  args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
});
let context, page;
let said = [];

const STEPS = {
  serve(pages) {
    for (const [path, what] of Object.entries(pages)) site.set(path, what);
    return origin;
  },
  async open({ dnt, gpc, agent }) {
    await context?.close();
    context = await browser.newContext({ userAgent: agent });
    context.setDefaultTimeout(PATIENCE);
    if (dnt) await context.addInitScript(() => Object.defineProperty(Navigator.prototype, "doNotTrack", { get: () => "1" }));
    if (gpc) await context.addInitScript(() => Object.defineProperty(Navigator.prototype, "globalPrivacyControl", { get: () => true }));
    page = await context.newPage();
    page.on("console", (message) => said.push(message.text()));
    page.on("pageerror", (error) => said.push(String(error)));
    return null;
  },
  goto: async (path) => (await page.goto(path.includes(":") ? path : origin + path)) && null,
  eval: (code) => page.evaluate(code),
  until: async (code) => (await page.waitForFunction(code)) && null,
  offline: (on) => context.setOffline(on),
  click: (selector) => page.click(selector),
  said: () => said.splice(0),
};

for await (const line of createInterface({ input: process.stdin })) {
  const [[step, given]] = Object.entries(JSON.parse(line));
  let answer;
  try {
    answer = { value: (await STEPS[step](given)) ?? null };
  } catch (error) {
    answer = { error: String(error) };
  }
  process.stdout.write(JSON.stringify(answer) + "\n");
}
await browser.close();
server.close();
