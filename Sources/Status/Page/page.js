"use strict";

// Elements: making them, and making those that are there like others. Text goes in as text nodes only, since much of it
// is foreign.

const svgTags = new Set(["svg", "path", "rect", "line", "title"]);

/** Makes an element. Attributes and children that are null or false are left out. */
function h(tag, attributes, ...children) {
  const space = svgTags.has(tag) ? "http://www.w3.org/2000/svg" : "http://www.w3.org/1999/xhtml";
  const node = document.createElementNS(space, tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value != null && value !== false) node.setAttribute(name, value);
  }
  for (const child of children.flat(Infinity)) if (child != null && child !== false) node.append(child);
  return node;
}

/** Changes `node` into what `next` is, and only where they differ: focus and selection stay where they are. */
function morph(node, next) {
  if (node.nodeName !== next.nodeName) return node.replaceWith(next);
  if (node.nodeType === Node.TEXT_NODE) {
    if (node.data !== next.data) node.data = next.data;
    return;
  }
  for (const { name } of [...node.attributes]) if (!next.hasAttribute(name)) node.removeAttribute(name);
  for (const { name, value } of next.attributes) {
    if (node.getAttribute(name) !== value) node.setAttribute(name, value);
  }
  fill(node, [...next.childNodes]);
}

function fill(node, children) {
  while (node.childNodes.length > children.length) node.lastChild.remove();
  children.forEach((child, index) => {
    if (index < node.childNodes.length) morph(node.childNodes[index], child);
    else node.append(child);
  });
}

function show(id, ...children) {
  fill(document.getElementById(id), [...h("div", null, children).childNodes]);
}

// A shape for each, so that nobody has to tell colours apart.
const shapes = {
  ok: "M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1Zm-1 10.2L3.9 8.1l1.2-1.2L7 8.8l3.9-3.9 1.2 1.2Z",
  warn: "M8 1 15.5 14.5H.5ZM7.1 5.5l.3 4.7h1.2l.3-4.7ZM7.1 11.3v1.7h1.8v-1.7Z",
  bad: "M5.1 1h5.8L15 5.1v5.8L10.9 15H5.1L1 10.9V5.1Zm.2 3.2L4.2 5.3 6.9 8l-2.7 2.7 1.1 1.1L8 9.1l2.7 2.7 1.1-1.1"
    + "L9.1 8l2.7-2.7-1.1-1.1L8 6.9Z",
  idle: "M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1Zm0 1.7a5.3 5.3 0 1 1 0 10.6A5.3 5.3 0 0 1 8 2.7Z",
};

function icon(tone) {
  return h("svg", { class: `icon ${tone}`, viewBox: "0 0 16 16", "aria-hidden": "true" },
    h("path", { d: shapes[tone], "fill-rule": "evenodd" }));
}

/** Draws `part` of a whole, from 0 to 1, and if `mark` is given a line there. */
function meter(part, tone, label, text, mark) {
  const percent = share => `${(100 * Math.min(1, Math.max(0, share))).toFixed(1)}%`;
  return h("svg", {
    class: `meter ${tone}`, role: "meter", "aria-label": label, "aria-valuetext": text,
    "aria-valuemin": 0, "aria-valuemax": 100, "aria-valuenow": (100 * part).toFixed(0),
  },
  h("rect", { width: percent(part), height: "100%" }),
  mark != null && h("line", { x1: percent(mark), x2: percent(mark), y1: 0, y2: "100%" }));
}

function pairs(list) {
  return h("dl", { class: "pairs" },
    list.filter(Boolean).map(([name, ...value]) => [h("dt", null, name), h("dd", null, value)]));
}

// Numbers and times in words.

const count = new Intl.NumberFormat("en").format;
const twoDigits = new Intl.NumberFormat("en", { maximumSignificantDigits: 2 }).format;

function many(number, word, words = `${word}s`) { return `${count(number)} ${number === 1 ? word : words}`; }

/** The percentage is rounded down, so that 100 % means all. */
function share(part, whole) {
  const percent = Math.floor(10000 * part / whole) / 100;
  return `${percent > 99 ? percent : percent.toFixed(1)} %`;
}

function duration(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 48 * 3600) return `${Math.floor(s / 3600)} h ${Math.floor(s % 3600 / 60)} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor(s % 86400 / 3600)} h`;
}

function latency(seconds) {
  if (seconds == null) return "–";
  if (seconds < 0.0001) return "< 0.1 ms";
  return seconds < 1 ? `${twoDigits(seconds * 1000)} ms` : `${twoDigits(seconds)} s`;
}

const clockOfToday = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" });
const clockOfOtherDays = new Intl.DateTimeFormat("en-GB",
  { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });

function clock(time) {
  const date = new Date(time * 1000);
  const isToday = date.toDateString() === new Date(now() * 1000).toDateString();
  return (isToday ? clockOfToday : clockOfOtherDays).format(date);
}

function relative(time) {
  const left = time - now();
  return left > 0 ? `in ${duration(left)}` : left > -1 ? "just now" : `${duration(-left)} ago`;
}

/** Says how far away `time` is, and below or behind that the time of day. */
function when(time, otherwise = "–") {
  if (time == null) return otherwise;
  const utc = new Date(time * 1000).toISOString();
  return h("time", { datetime: utc, title: `${utc.slice(0, 19).replace("T", " ")} UTC` },
    relative(time), h("small", { class: "line" }, ` ${clock(time)}`));
}

function sentence(text) { return text && text[0].toUpperCase() + text.slice(1).replace(/\.?$/, "."); }

/** What the tenant said, what a token that is refused says of itself, and what became of the connection. */
function testimony(evidence) {
  if (!evidence) return null;
  const refusal = [evidence.upstream_error, evidence.upstream_error_description].filter(Boolean).join(": ");
  const claims = [["iss", evidence.token_issuer], ["aud", evidence.token_audience], ["alg", evidence.token_algorithm],
    ["kid", evidence.token_key_id], ["token_type", evidence.token_type]]
    .filter(([, value]) => value).map(([name, value]) => `${name} ${value}`).join(", ");
  return [refusal && [" The tenant said: ", h("q", null, refusal), "."], claims && ` The token has ${claims}.`,
    evidence.metadata_issuer && ` The metadata names ${evidence.metadata_issuer}.`,
    evidence.connection_error && ` ${sentence(evidence.connection_error)}`];
}

function notBefore(time) {
  return time > now() && ` Not asked again for ${duration(time - now())}, until ${clock(time)}.`;
}

// The condition, what to do about it, and the figures below.

const tones = { ok: "ok", attention: "warn", failing: "bad", draining: "idle" };
const headlines = { ok: "Healthy", attention: "Needs attention", failing: "Failing", draining: "Shutting down" };

function health() {
  const tone = lostSince ? "bad" : tones[report.condition];
  const title = lostSince ? "Out of reach" : headlines[report.condition];
  document.getElementById("health").className = `card ${tone}`;
  show("headline", icon(tone), h("strong", { role: "status" }, title),
    h("span", { class: "muted" }, lostSince ? lostLine() : conditionLine()));
  const said = new Set();
  show("problems", report.problems.length > 0 && h("ul", null, report.problems.map(problem => {
    const isNew = problem.remedy && !said.has(problem.remedy);
    said.add(problem.remedy);
    return h("li", null, icon(tones[problem.condition]),
      h("div", null, h("h3", null, problem.title),
        h("p", null, sentence(problem.detail), testimony(problem.evidence),
          problem.served_until && ` What is held can be served for ${duration(problem.served_until - now())}.`,
          notBefore(problem.retry_at))),
      isNew && h("p", { class: "remedy" }, problem.remedy));
  })));
  tellTab(title, tone);
}

function conditionLine() {
  switch (report.condition) {
    case "ok": return report.audiences.some(row => row.minted_at)
      ? "Every token in use is held, and refreshed in time." : "Ready. No token is held yet.";
    case "attention": return `${many(report.problems.length, "thing")} to look at.`;
    case "failing": return "Callers get errors.";
    default: return "Requests in flight are answered; new ones belong elsewhere.";
  }
}

function lostLine() {
  return `The broker has not answered for ${duration(now() - lostSince)}, since ${clock(lostSince)} (${lostBecause}). `
    + "What is shown is from then.";
}

/** Shows in the tab's title and icon how things are, for those who look at another tab. */
function tellTab(title, tone) {
  document.title = `${title} · token-broker`;
  const colour = { ok: "2f8f5b", warn: "dc9a1e", bad: "d6493e", idle: "888" }[tone];
  const picture = "data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'>"
    + `<path fill='%23${colour}' fill-rule='evenodd' d='${shapes[tone]}'/></svg>`;
  const link = document.getElementById("icon");
  if (link.getAttribute("href") !== picture) link.setAttribute("href", picture);
}

function facts() {
  const minutes = report.traffic;
  const minute = minutes.at(-2) ?? minutes.at(-1);
  const { hit, miss, coalesced, stale } = report.lookups;
  const lookups = hit + miss + coalesced + stale;
  const sum = name => report.clients.reduce((total, client) => total + client[name], 0);
  const fact = (name, value, more) =>
    h("div", null, h("dt", null, name), h("dd", null, value, h("small", null, more)));
  show("facts", h("dl", null,
    fact("Requests", count(total(minute)), minutes.length > 1 ? "in the last full minute" : "in this first minute"),
    fact("Latency, p99", latency(minute.p99), `p50 ${latency(minute.p50)}`),
    fact("From memory", lookups ? share(hit, lookups) : "–", `${count(hit)} of ${count(lookups)}`),
    fact("Tokens minted", count(sum("minted")), `${many(sum("saved"), "mint")} saved`),
    fact("Tokens held", count(report.audiences.filter(row => row.minted_at).length),
      many(report.audience_count, "audience")),
    fact("Up", duration(now() - report.process.started_at), `since ${clock(report.process.started_at)}`)));
}

// The charts of the last hour. A minute is one unit wide, the present one at the right.

function total(minute) { return minute.ok + minute.refused + minute.failed; }

function charts() {
  const minutes = report.traffic;
  const x = index => 60 - minutes.length + index;
  show("charts", requestChart(minutes, x), latencyChart(minutes, x));
}

/** `labels` are those of the vertical axis, evenly spaced, from the top; `tell` says what a minute was like. */
function chart(title, legend, labels, text, minutes, x, tell, ...shapes) {
  const grid = labels.map((_, index) => 100 * index / (labels.length - 1))
    .map(y => h("line", { class: "grid", x1: 0, x2: 60, y1: y, y2: y }));
  const hover = minutes.map((minute, index) =>
    h("rect", { class: "hover", x: x(index), y: 0, width: 1, height: 100 },
      h("title", null, `${clock(minute.start)}: ${tell(minute)}`)));
  return h("figure", { class: "card" },
    h("figcaption", null, h("h2", null, title), h("small", { class: "legend" }, legend)),
    h("div", { class: "plot" },
      h("div", { class: "scale", "aria-hidden": "true" }, labels.map(label => h("span", null, label))),
      h("svg", { viewBox: "0 0 60 100", preserveAspectRatio: "none", role: "img", "aria-label": text },
        grid, shapes, hover),
      h("div", { class: "span", "aria-hidden": "true" }, h("span", null, "an hour ago"), h("span", null, "now"))));
}

const results = { ok: "answered with a token", refused: "refused (4xx)", failed: "failed (5xx)" };

function requestChart(minutes, x) {
  const names = Object.keys(results);
  const most = Math.max(...minutes.map(total));
  const step = 10 ** Math.floor(Math.log10(Math.max(most, 1)));
  const top = Math.max(4, [1, 2, 4, 6, 8, 10].map(n => n * step).find(n => n >= most));
  const bars = minutes.map((minute, index) => {
    let y = 100;
    return names.filter(name => minute[name] > 0).map(name => {
      // What failed is seen, however little it is.
      const height = Math.max(100 * minute[name] / top, name === "ok" ? 0.5 : 2);
      y -= height;
      return h("rect", { class: `fill-${name}`, x: x(index) + 0.1, y, width: 0.8, height });
    });
  });
  const sums = Object.fromEntries(names.map(name => [name, minutes.reduce((sum, one) => sum + one[name], 0)]));
  const legend = names.map(name => h("span", { title: results[name] },
    h("span", { class: `key ${name}` }), `${name} ${count(sums[name])}`));
  const text = `Requests per minute in the last hour, ${count(most)} at the most: `
    + names.map(name => `${count(sums[name])} ${results[name]}`).join(", ");
  return chart("Requests per minute", legend, [count(top), count(top / 2), "0"], text, minutes, x,
    minute => `${many(total(minute), "request")}, ${minute.refused} refused, ${minute.failed} failed`, bars);
}

function latencyChart(minutes, x) {
  const slowest = Math.max(0.001, ...minutes.map(minute => minute.p99 ?? 0));
  // From a tenth of a millisecond, by powers of ten.
  const decades = Math.ceil(Math.log10(slowest) + 4);
  const y = seconds => 100 - 100 * Math.min(1, Math.max(0, (Math.log10(seconds) + 4) / decades));
  const path = name => minutes.map((minute, index) => minute[name] == null ? ""
    : `${minutes[index - 1]?.[name] == null ? `M${x(index)} ` : "V"}${y(minute[name])}H${x(index) + 1}`).join("");
  const band = minutes.map((minute, index) => minute.p99 != null && h("rect",
    { class: "band", x: x(index), width: 1, y: y(minute.p99), height: y(minute.p50) - y(minute.p99) }));
  const labels = ["0.1 ms", "1 ms", "10 ms", "0.1 s", "1 s", "10 s", "100 s"].slice(0, decades + 1).reverse();
  const legend = ["p50", "p99"].map(name => h("span", null, h("span", { class: `key ${name}` }), name));
  const text = "Time to answer by minute in the last hour, estimated: in the slowest minute, 99 in 100 requests took "
    + `up to ${latency(slowest)}`;
  return chart("Time to answer", [legend, h("span", null, "estimated")], labels, text, minutes, x,
    minute => `p50 ${latency(minute.p50)}, p99 ${latency(minute.p99)}`,
    band, h("path", { class: "p50", d: path("p50") }), h("path", { class: "p99", d: path("p99") }));
}

// The audiences, in the report's order: the worst first.

const states = {
  failing: ["bad", "No token"], refresh_failing: ["warn", "Refresh fails"], fetching: ["idle", "Being fetched"],
  held: ["ok", "Held"], idle: ["idle", "Not asked for yet"],
};
let filter = "";
let rowLimit = 100;

function audiences() {
  const all = report.audiences;
  document.getElementById("filter").hidden = all.length < 2;
  if (all.length === 0) return show("audiences", empty());
  const found = all.filter(row => words(row).includes(filter));
  const shown = found.slice(0, rowLimit);
  const left = found.length - shown.length;
  const untold = report.audience_count - all.length;
  show("audiences",
    h("div", { class: "card" }, found.length === 0
      ? h("p", { class: "empty muted" }, `None of ${many(all.length, "audience")} has “${filter}” in it.`)
      : table(shown)),
    (left > 0 || filter || untold > 0) && h("p", { class: "more muted" },
      `${count(shown.length)} of ${many(found.length, "audience")}${filter ? " that match" : ""}. `,
      untold > 0 && `${count(untold)} more are held, and not told of here. `,
      left > 0 && h("button", { type: "button" }, `Show ${count(Math.min(left, 200))} more`)));
}

function words(row) {
  return [row.audience, row.scope, row.organization, row.client, states[row.state][1], row.last_failure?.error]
    .filter(Boolean).join(" ").toLowerCase();
}

function table(rows) {
  const hits = "Answers that cost no mint, since the token is held or the configuration was read";
  const columns = ["Audience", "Life left", "Refreshed", "Next refresh", "Hits"];
  return h("table", { role: "table" },
    h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, columns.map(name => h("th", {
      role: "columnheader", scope: "col", class: name === "Hits" && "number", title: name === "Hits" && hits,
    }, name)))),
    rows.map(audience));
}

function audience(row) {
  const [tone, state] = states[row.state];
  const details = [
    state, row.scope && `scope ${row.scope}`, row.organization && `organization ${row.organization}`,
    (report.clients.length > 1 || row.holder) && `client ${row.client}`, row.holder && `holder ${row.holder}`,
    row.is_prefetched && "prefetched",
  ].filter(Boolean).join(" · ");
  const cell = (label, kind, isKnown, ...children) =>
    h("td", { role: "cell", "data-label": label, class: isKnown ? kind : `${kind} none` }, children);
  const isHeld = row.minted_at != null;
  return h("tbody", { role: "rowgroup" },
    h("tr", { role: "row" },
      h("td", { role: "cell" }, h("div", { class: "state" }, icon(tone), h("div", null,
        h("bdi", { class: "name" }, row.audience), h("small", { class: "block" }, details)))),
      cell("Life left", "life", isHeld, isHeld ? life(row, tone) : "–"),
      cell("Refreshed", "time", isHeld, when(row.minted_at)),
      cell("Next refresh", "time", isHeld || row.is_fetching,
        row.is_fetching ? "under way" : when(row.next_refresh_at, isHeld ? "if asked for" : "–")),
      cell("Hits", "number", row.hits > 0, h("span", null, count(row.hits),
        row.last_used_at && h("small", { class: "line" }, ` used ${relative(row.last_used_at)}`)))),
    row.last_failure && h("tr", { role: "row", class: "why" },
      h("td", { role: "cell", colspan: 5 }, why(row.last_failure))));
}

function life(row, tone) {
  const whole = row.expires_at - row.minted_at;
  const left = Math.max(0, row.expires_at - now());
  const mark = row.next_refresh_at && (row.expires_at - row.next_refresh_at) / whole;
  return [
    meter(left / whole, tone, `Life left of ${row.audience}`, duration(left), mark),
    duration(left), h("small", null, ` until ${clock(row.expires_at)}`),
  ];
}

function why(failure) {
  const what = [h("code", null, failure.error), ` ${relative(failure.at)}, at ${clock(failure.at)}`];
  if (!failure.is_current) {
    const text = sentence(failure.message);
    return h("p", { class: "muted" }, "Recovered. The last error was ", what, ". ", text, testimony(failure.evidence));
  }
  return h("div", { class: "split" },
    h("p", null, what, failure.times > 1 && `, ${failure.times} times in a row`, ". ", sentence(failure.message),
      testimony(failure.evidence), notBefore(failure.retry_at), failure.upstream_request_id
        && h("small", { class: "muted" }, ` The tenant's request id: ${failure.upstream_request_id}.`)),
    h("p", { class: "remedy" }, failure.remedy));
}

function empty() {
  const address = report.listeners.find(listener => !listener.is_admin)?.address ?? "";
  const [, path] = address.match(/^unix:([^?]*)/) ?? [];
  const isTLS = report.listeners.some(listener => listener.address === address && listener.is_tls);
  const place = address.replace(/^(0\.0\.0\.0|\[::\]):/, `${location.hostname}:`);
  const line = [
    "curl", path && `--unix-socket ${path}`, report.callers && `-H "Authorization: Bearer $KEY"`,
    `${path ? "http://localhost" : `${isTLS ? "https" : "http"}://${place}`}/token/https%3A%2F%2Fapi.example.com%2F`,
  ].filter(Boolean).join(" ");
  const isUntouched = report.traffic.every(minute => total(minute) === 0);
  return h("div", { class: "card empty" },
    h("p", null, isUntouched ? "No audience has been asked for yet. Try:" : "No token is held. Try:"),
    h("pre", null, h("code", null, line)));
}

// The clients and the process.

function clients() {
  show("clients", report.clients.map(client => h("article", { class: "card" },
    h("div", { class: "client" }, h("h3", null, client.name), clientState(client)),
    pairs([
      ["Tenant", client.issuer ?? "no issuer known"],
      ["Client id", client.client_id ? h("code", null, client.client_id) : "the callers' own"],
      client.authentication
        && ["Proves itself", client.authentication, client.assertion_key && `, ${client.assertion_key}`],
      client.secrets.length > 0 && ["Secret", h("ul", null, client.secrets.map(secret))],
      client.assertion && ["Assertion", assertion(client.assertion)],
      ["Requests", requests(client)],
      ["Last mint", when(client.last_mint_at, "none yet")],
      client.last_failure && ["Last error", clientFailure(client.last_failure)],
      ...client.quotas.map(quota => [`Quota ${quota.name}`, quotaLeft(quota)]),
      client.scarce_until && ["Scarce", `refreshes that can wait do so until ${clock(client.scarce_until)}`],
      client.limited_organizations > 0 && ["Limited", many(client.limited_organizations, "organization")],
      client.budget && ["This month", budgetLeft(client.budget)],
      client.key_set && ["Signing keys", keySet(client.key_set)],
    ]))));
}

function clientState(client) {
  const say = (tone, text) => h("p", null, icon(tone), " ", text);
  const block = client.block;
  if (block && block.until > now()) {
    const words = { limit: ["warn", "limited"], refusal: ["bad", "refused"], fault: ["warn", "out of reach"] };
    const [tone, word] = words[block.cause];
    return say(tone, `${word} for ${duration(block.until - now())}, until ${clock(block.until)}`);
  }
  if (block) return say("warn", "the next request shows whether it has recovered");
  if (client.last_failure?.is_current) return say("warn", "the last request failed");
  return client.last_mint_at ? say("ok", "OK") : say("idle", "not asked yet");
}

function secret(one) {
  return h("li", null, h("code", { title: "A fingerprint, until this process ends" }, one.fingerprint), " ",
    one.accepted_at ? `accepted ${relative(one.accepted_at)}` : one.since ? "not accepted yet" : "the previous one",
    one.since && h("small", { class: "line" }, ` in use since ${clock(one.since)}`));
}

function assertion(one) {
  const state = one.problem ? sentence(one.problem) : one.expires_at ? `expires ${relative(one.expires_at)}` : "no end";
  return [state, h("small", { class: "line" }, ` in ${one.file}`)];
}

function requests(client) {
  const ended = Object.entries(client.outcomes).map(([name, number]) => `${count(number)} ${name}`);
  const waiting = [[client.in_flight, "in flight"], [client.queued, "waiting"]].filter(([number]) => number > 0)
    .map(([number, word]) => `${count(number)} ${word}`);
  return [...ended, ...waiting].join(", ") || "none yet";
}

function clientFailure(failure) {
  return [h("code", null, failure.error), ` ${relative(failure.at)}`, !failure.is_current && ", recovered since",
    h("small", { class: "block" }, sentence(failure.message), testimony(failure.evidence))];
}

function quotaLeft(quota) {
  const text = `${count(quota.remaining)} of ${count(quota.limit)} left`;
  if (quota.resets_at < now()) return h("span", { class: "muted" }, `${text} before it was reset`);
  const tone = quota.remaining === 0 ? "bad" : quota.remaining <= quota.limit / 10 ? "warn" : "ok";
  return [text, h("small", null, `, resets ${relative(quota.resets_at)}`),
    meter(quota.limit ? quota.remaining / quota.limit : 0, tone, `Quota ${quota.name}`, text)];
}

function budgetLeft(month) {
  const left = Math.max(0, month.mints - month.used);
  const text = `${count(left)} of ${count(month.mints)} tokens left`;
  const tone = left === 0 ? "bad" : left <= month.reserve ? "warn" : "ok";
  return [text, h("small", null, `, ${count(month.reserve)} of them in reserve; counted since the start`),
    meter(left / month.mints, tone, "Tokens left this month", text, month.reserve / month.mints)];
}

function keySet(set) {
  return [
    set.problem && h("p", null, icon("warn"), " ", sentence(set.problem)),
    h("ul", null, set.keys.map(key =>
      h("li", null, h("code", null, key.kid ?? "without a name"), h("small", null, ` ${key.alg}`)))),
    h("small", null, set.fetched_at ? `read ${relative(set.fetched_at)}, at ${clock(set.fetched_at)}` : "not read yet"),
  ];
}

function store() {
  const one = report.store;
  if (!one) return "none: a restart mints anew";
  const failed = one.load.failed + one.claim.failed + one.save.failed;
  return [h("code", null, one.location), h("small", null, " ", [
    one.problem ?? "in use", `${many(one.load.ok + one.claim.ok, "look-up")}, ${count(one.save.ok)} saved`,
    failed > 0 && `${count(failed)} failed`, one.ignored > 0 && `${count(one.ignored)} not believed`,
  ].filter(Boolean).join(", "))];
}

function process() {
  const one = report.process;
  show("process", pairs([
    ["Listens on", h("ul", null, report.listeners.map(listener => h("li", null, h("code", null, listener.address),
      h("small", null, " ", [
        listener.is_admin && "admin", listener.is_tls && "TLS",
        many(listener.http1 + listener.http2, "connection"), listener.http2 > 0 && `${listener.http2} of HTTP/2`,
      ].filter(Boolean).join(", ")))))],
    ["Callers", report.callers == null ? "whoever can connect" : count(report.callers)],
    ["Store", store()],
    ["Version", one.version],
    ["Started", when(one.started_at)],
    ["Workers", count(one.workers)],
    ["Memory", `${count(Math.round(one.resident_bytes / 1048576))} MiB`],
    ["Processor", `${one.cpu_seconds.toFixed(1)} s used`],
    ["Descriptors", `${count(one.open_descriptors)} of ${count(one.max_descriptors)}`],
  ]));
}

// Asking for the report, and showing it.

let report = null;
/** When the report came, in milliseconds of the page's monotonic clock. */
let receivedAt = 0;
/** When the broker last answered, in its own Unix seconds; null while it answers. */
let lostSince = null;
let lostBecause = "";

/** The broker's time in Unix seconds, since the browser's clock may differ. */
function now() { return report.now + (performance.now() - receivedAt) / 1000; }

function render() {
  const pulse = document.getElementById("pulse");
  document.body.classList.toggle("lost", lostBecause !== "");
  if (!report) {
    pulse.textContent = lostBecause && `The broker does not answer: ${lostBecause}`;
    return;
  }
  pulse.textContent = lostSince ? `last heard of ${relative(lostSince)}` : `live · ${clock(now())}`;
  health();
  facts();
  charts();
  audiences();
  clients();
  process();
}

async function poll() {
  const began = performance.now();
  try {
    const answer = await fetch("status.json", { cache: "no-store", signal: AbortSignal.timeout(10000) });
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    report = await answer.json();
    receivedAt = performance.now();
    lostSince = null;
    lostBecause = "";
  } catch (error) {
    if (report) lostSince ??= report.now;
    lostBecause = error.message;
  }
  render();
  // What takes the broker long is asked for less often, and what nobody looks at, too.
  const took = performance.now() - began;
  setTimeout(poll, document.hidden ? 15000 : Math.min(Math.max(1000, 10 * took), 5000));
}

document.getElementById("filter").addEventListener("input", event => {
  filter = event.target.value.trim().toLowerCase();
  rowLimit = 100;
  render();
});
document.getElementById("audiences").addEventListener("click", event => {
  if (!event.target.closest("button")) return;
  rowLimit += 200;
  render();
});
document.getElementById("place").textContent = location.host;
document.getElementById("zone").textContent = `in ${Intl.DateTimeFormat().resolvedOptions().timeZone}`;
poll();
