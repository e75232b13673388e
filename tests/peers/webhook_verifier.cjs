// Another library's check of a webhook: webhook_verifier.cjs, given {secret, body, headers} as JSON; tells what is inside, or why not.
const { Webhook } = require("standardwebhooks");

let given = "";
process.stdin.on("data", (part) => (given += part));
process.stdin.on("end", () => {
  const { secret, body, headers } = JSON.parse(given);
  try {
    process.stdout.write(JSON.stringify({ verified: new Webhook(secret).verify(body, headers) }));
  } catch (error) {
    process.stdout.write(JSON.stringify({ refused: error.message }));
  }
});
