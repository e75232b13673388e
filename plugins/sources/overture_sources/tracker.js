// Tracking for web pages, served as /t.js without comments and blanks (see tracker.py; so end statements with ; and put
// no blank beside punctuation into a text). What it does stands in docs/tracking.md.
((w, d, n) => {
  const script = d.currentScript, own = script.dataset;
  const to = script.src.replace(/\.js.*/, ""); // /t.js is served beside /t
  const ask = own.consent || n.globalPrivacyControl || n.doNotTrack == 1;
  const random = () => crypto.getRandomValues(new Uint32Array(4)).join("-");
  const url = () => location.href.split("#")[0];
  let kept = {}; // where a browser keeps nothing, the queue lives as long as the page
  let held = []; // what happened before anybody agreed: nowhere but here
  let me, page, since, busy, timer, last = d.referrer, pause = 1e3;
  try { kept = localStorage; } catch (e) {}

  const ok = () => kept.ov_ok ? kept.ov_ok == 1 : !ask;
  const set = (name, value) => { try { kept[name] = value; } catch (e) {} };
  const read = () => {
    try { return JSON.parse(kept.ov_q).filter((fact) => Date.now() - fact.at < 5e8); } catch (e) { return []; }
  };
  const write = (facts) => set("ov_q", JSON.stringify(facts.slice(-500)));
  const cookie = (value, age) => {
    d.cookie = `ov_id=${value};path=/;samesite=lax;max-age=${age}` +
      (own.domain ? ";domain=" + own.domain : "") + (w.isSecureContext ? ";secure" : "");
  };
  const who = () => {
    me = (/\bov_id=([^;]+)/.exec(d.cookie) || [])[1] || me || random();
    cookie(me, 3e7);
    return me;
  };
  const keep = (fact) => {
    fact.anonymous = who();
    write([...read(), fact]);
    later(1e3);
  };
  const put = (type, properties, user) => {
    const fact = { id: random(), at: Date.now(), type, properties, user };
    ok() ? keep(fact) : kept.ov_ok || held.push(fact);
  };

  const body = (facts) => JSON.stringify({ key: own.key, sent: Date.now(), agent: n.userAgent, facts });
  const later = (ms) => { timer = timer || setTimeout(send, ms); };
  const send = () => {
    const facts = read().slice(0, 20);
    timer = 0;
    if (busy || !facts[0] || !ok()) return;
    busy = fetch(to, { method: "POST", body: body(facts) }).then(({ status }) => {
      if (status > 499 || status == 429 || status == 408) throw 0;
      write(read().filter((fact) => !facts.some(({ id }) => id == fact.id)));
      pause = 500;
    }).catch(() => { pause = Math.min(pause * 2, 6e4); }).then(() => {
      busy = 0;
      read()[0] && later(pause);
    });
  };

  const leave = () => {
    page && since && put("page_left", { ...page, dwell: (Date.now() - since) / 1e3 });
    since = 0;
  };
  // Nobody knows whether a beacon arrives: what it carries stays in the queue, and is a duplicate when it comes again.
  const gone = () => {
    leave();
    const facts = ok() ? read() : [];
    while (facts[0] && n.sendBeacon(to, body(facts.splice(0, 20))));
  };
  const back = () => { since = d.hidden ? 0 : since || Date.now(); };
  const view = (more) => {
    leave();
    page = { url: url(), path: location.pathname, title: d.title, referrer: last };
    last = page.url;
    back();
    put("page_viewed", { ...page, ...more });
  };
  const moved = () => { url() != last && view(); };

  const calls = {
    track: (type, properties) => put(type, properties),
    page: view,
    identify: (user, traits) => user.trim ? put("identify", traits, user) : put("identify", user),
    reset: () => { cookie(me = "", 0); },
    consent: (yes) => {
      set("ov_ok", yes ? "1" : "0");
      yes ? held.map(keep) : calls.reset(write([]));
      held = [];
    },
  };
  const early = w.overture;
  w.overture = (name, ...rest) => calls[name](...rest);
  early?.q?.map((call) => w.overture(...call));

  const on = (name, act, where) => { (where || w).addEventListener(name, act); };
  if (!own.manual) {
    d.prerendering ? on("prerenderingchange", () => view(), d) : view();
    ["pushState", "replaceState"].map((name) => {
      const real = history[name];
      history[name] = function () {
        real.apply(history, arguments);
        setTimeout(moved);
      };
    });
    on("popstate", moved);
    on("pageshow", ({ persisted }) => {
      if (persisted) {
        since = 0;
        view();
      }
    });
  }
  on("pagehide", gone);
  on("visibilitychange", () => { d.hidden ? gone() : back(); }, d);
  later(1e3);
})(window, document, navigator);
