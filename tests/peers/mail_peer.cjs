// Another library's mail server, which reads each mail with its parser and checks its DKIM signatures:
// mail_peer.cjs OPTIONS, as JSON: {port, key, cert, requireTls, dns: {name: TXT}}. A recipient "550-5.1.1-x@…" is refused so.
const { readFileSync } = require("fs");
const { SMTPServer } = require("smtp-server");
const { simpleParser } = require("mailparser");
const { dkimVerify } = require("mailauth/lib/dkim/verify");

const options = JSON.parse(process.argv[2] || "{}");
const tell = (what, value) => process.stdout.write(`${what} ${JSON.stringify(value)}\n`);

async function resolver(name, type) {
  const found = type === "TXT" && options.dns && options.dns[name];
  if (found) return [[found]];
  throw Object.assign(new Error(`${type} of ${name} is not known`), { code: "ENOTFOUND" });
}

async function read(raw, session) {
  const mail = await simpleParser(raw);
  const dkim = await dkimVerify(raw, { resolver });
  return {
    sender: session.envelope.mailFrom.address,
    recipients: session.envelope.rcptTo.map((each) => each.address),
    secure: session.secure,
    subject: mail.subject,
    from: mail.from.value,
    to: mail.to.value,
    text: mail.text,
    html: mail.html,
    list: mail.headers.get("list"),
    names: mail.headerLines.map((line) => line.key),
    unsubscribe: (mail.headerLines.find((line) => line.key === "list-unsubscribe") || {}).line,
    attachments: mail.attachments.length,
    dkim: dkim.results.map(({ status, signingDomain, selector, algo, signingHeaders }) => ({
      result: status.result, comment: status.comment, domain: signingDomain, selector, algorithm: algo,
      signed: signingHeaders && signingHeaders.keys,
    })),
    raw: raw.toString("base64"),
  };
}

const server = new SMTPServer({
  authOptional: true,
  disabledCommands: options.key ? ["AUTH"] : ["AUTH", "STARTTLS"],
  ...(options.key ? { key: readFileSync(options.key), cert: readFileSync(options.cert) } : {}),
  onMailFrom(address, session, done) {
    if (options.requireTls && !session.secure) {
      return done(Object.assign(new Error("5.7.0 Must issue a STARTTLS command first"), { responseCode: 530 }));
    }
    done();
  },
  onRcptTo(address, session, done) {
    const [, code, enhanced] = /^(\d{3})-([\d.]+)-/.exec(address.address) || [];
    done(code ? Object.assign(new Error(`${enhanced} As you asked`), { responseCode: Number(code) }) : undefined);
  },
  onData(stream, session, done) {
    const parts = [];
    stream.on("data", (part) => parts.push(part));
    stream.on("end", () => read(Buffer.concat(parts), session).then(
      (mail) => { tell("mail", mail); done(null, "2.0.0 Taken"); },
      (error) => done(error),
    ));
  },
});
server.on("error", (error) => process.stderr.write(`${error}\n`)); // a client that hangs up is no reason to end
server.listen(options.port || 0, "127.0.0.1", () => tell("listening", server.server.address().port));
process.stdin.on("end", () => process.exit(0)).resume();
