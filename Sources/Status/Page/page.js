"use strict";

// Elements: making them, and making those that are there like others. Text goes in as text nodes only, since much of it
// is foreign.

const svgTags = new Set(["svg", "path", "rect", "line", "title"]);

/** Makes an element. Attributes and children that are null or false are left out. */
function h(tag, attributes, ...children) {
  const space = svgTags.has(tag) ? "http://www.w3.org/2000/svg" : "http://www.w3.org/1999/xhtml";
  const node = document.createElementNS(space, tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value != null && value !== false) node.setAttribute(name, value === true ? "" : value);
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
  for (const { name } of [...node.attributes]) {
    // What people have opened stays open.
    if (!next.hasAttribute(name) && name !== "open") node.removeAttribute(name);
  }
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

/** Draws what is left of a whole, from 0 to 1, and if `mark` is given a line there, which the text beside it explains. */
function meter(part, tone, label, text, mark) {
  const percent = share => `${(100 * Math.min(1, Math.max(0, share))).toFixed(1)}%`;
  return h("svg", {
    class: `meter ${tone}`, role: "meter", "aria-label": label, "aria-valuetext": text,
    "aria-valuemin": 0, "aria-valuemax": 100, "aria-valuenow": (100 * part).toFixed(0),
  },
  h("rect", { class: "track", width: "100%", y: 2, height: 6, rx: 3 }),
  h("rect", { class: "fill", width: percent(part), y: 2, height: 6, rx: 3 }),
  mark != null && mark > 0 && mark < 1 && h("line", { x1: percent(mark), x2: percent(mark), y1: 0, y2: 10 }));
}

/**
 * Columns are `{ name, kind, title, sort }`; a row is `{ cells, more, tone }`, `cells` in the columns' order and `more`
 * what stands below them over the whole width. `sorted` is `{ by, isDown }` where columns can be sorted by.
 */
function table(label, columns, rows, sorted) {
  const heading = ({ name, kind, title, sort }) => h("th", {
    role: "columnheader", scope: "col", class: kind, title,
    "aria-sort": sorted && sort && (sorted.by === sort ? (sorted.isDown ? "descending" : "ascending") : "none"),
  }, sort ? h("button", { type: "button", "data-sort": sort }, name) : name);
  const cell = ({ name, kind }, content) => h("td", {
    role: "cell", "data-label": name, class: [kind, content == null && "none"].filter(Boolean).join(" ") || null,
  }, h("div", null, content ?? "–"));
  return h("div", { class: "card" }, h("table", { role: "table", "aria-label": label },
    h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, columns.map(heading))),
    rows.map(row => h("tbody", { role: "rowgroup", class: row.tone },
      h("tr", { role: "row" }, columns.map((column, index) => cell(column, row.cells[index]))),
      row.more && h("tr", { role: "row", class: "more" },
        h("td", { role: "cell", colspan: columns.length }, row.more))))));
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

/** Says how far away `time` is; `isExact`: and when that is. */
function when(time, otherwise = "–", isExact = false) {
  if (time == null) return otherwise;
  const utc = new Date(time * 1000).toISOString();
  return h("time", { datetime: utc, title: `${clock(time)} (${utc.slice(0, 19).replace("T", " ")} UTC)` },
    relative(time), isExact && h("small", null, ` ${clock(time)}`));
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
    h("span", { class: "muted" }, lostSince ? lostLine() : `${conditionLine()} ${recentLine()}`));
  const said = new Set();
  show("problems", report.problems.length > 0 && h("ul", null, report.problems.map((problem, index) => {
    const isNew = problem.remedy && !said.has(problem.remedy);
    said.add(problem.remedy);
    // A small screen has room for those that are well, too: there people unfold what they want to know more of.
    const name = nameOf(problem);
    const isOpen = opened.has(name);
    const folded = isOpen ? null : "folded";
    return h("li", { id: `problem-${index}` }, problemIcon(problem),
      h("div", null, h("h3", null, problem.title, problem.error && h("code", null, problem.error)),
        h("p", { class: folded }, sentence(problem.detail), testimony(problem.evidence), notBefore(problem.retry_at)),
        problem.condition !== "ok" && h("p", { class: "muted" }, consequence(problem))),
      h("div", { class: "mend" }, isNew && h("p", { class: `remedy ${folded ?? ""}` }, problem.remedy),
        h("div", { class: "try" }, h("button",
          { type: "button", class: "unfold", "aria-expanded": `${isOpen}`, "data-row": name }, "Why, and what to do"),
        tryNow(problem))));
  })));
  tellTab(title, tone);
}

function conditionLine() {
  const troubles = report.problems.filter(problem => problem.condition !== "ok");
  switch (report.condition) {
    case "ok": return report.audiences.some(row => row.minted_at)
      ? "Every token in use is held, and refreshed in time." : "Ready. No token is held yet.";
    case "attention": return `${many(troubles.length, "thing")} to look at.`;
    case "failing": return "Callers get errors.";
    default: return "Requests in flight are answered; new ones belong elsewhere.";
  }
}

/** How callers have fared lately, by which the condition is judged. */
function recentLine() {
  const { requests, failed } = report.recent;
  if (requests === 0) return "No requests in the last two minutes.";
  const of = many(requests, "request");
  return failed === 0 ? `None of ${of} in the last two minutes failed.`
    : `${count(failed)} of ${of} in the last two minutes failed (${share(failed, requests)}).`;
}

/** Tells problems apart from one report to the next. */
function nameOf(problem) { return ["problem", problem.client, problem.error, problem.title].join(" "); }

/** What is nobody's concern but its asker's is no trouble. */
function problemIcon(problem) { return icon(problem.condition === "ok" ? "idle" : tones[problem.condition]); }

/** What a problem means for callers. */
function consequence(problem) {
  const { without_token: without = 0, not_renewed: held = 0 } = problem;
  const until = problem.served_until && `until ${clock(problem.served_until)}${held > 1 ? ", the first" : ""}`;
  return sentence([
    without > 0 && `${many(without, "audience")} without a token`,
    held > 0 && `${many(held, "audience")} served with what is held ${until}`,
  ].filter(Boolean).join(", "));
}

/** What people have opened: rows by `identity`, problems by `nameOf`. */
const opened = new Set();

// Trying again what people have mended. By what is tried: what came of it.

const tries = new Map();

function tryNow(problem) {
  if (!problem.retry || problem.condition === "ok") return null;
  const name = nameOf(problem);
  const outcome = tries.get(name);
  return [
    h("button", { type: "button", "data-try": name, disabled: outcome?.isUnderWay, title: "Asks the tenant once, now" },
      "Try now"),
    outcome && h("span", { role: "status" }, outcome.text),
  ];
}

/** Asks for one token, and for the others where that one came; the first that does not ends it. */
async function retry(name, grants) {
  const tell = (text, isUnderWay) => { tries.set(name, { text, isUnderWay }); render(); };
  tell("Asking the tenant …", true);
  let minted = 0;
  try {
    for (const grant of grants) {
      const query = new URLSearchParams(["scope", "organization"].filter(key => grant[key]).map(key => [key, grant[key]]));
      const address = `retry/${encodeURIComponent(grant.audience)}${query.size > 0 ? `?${query}` : ""}`;
      const answer = await fetch(address, {
        method: "POST", headers: { "X-Token-Broker-Page": "retry" }, signal: AbortSignal.timeout(60000),
      });
      const result = await answer.json();
      if (!answer.ok || result.outcome === "failed") {
        return tell(`At ${clock(now())}: ${result.error}. ${sentence(result.error_description)}`, false);
      }
      if (result.outcome === "minted") minted += 1;
    }
    tell(minted > 0 ? `At ${clock(now())}: ${many(minted, "token")} came.` : "It is over already.", false);
  } catch (error) {
    tell(`The broker did not answer: ${error.message}.`, false);
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
  const fact = (name, value, more, title) =>
    h("div", { title }, h("dt", null, name), h("dd", null, value, h("small", null, more)));
  show("facts", h("dl", null,
    fact("Requests", count(total(minute)), minutes.length > 1 ? "in the last full minute" : "in this first minute"),
    fact("99 in 100 within", latency(minute.p99), `half within ${latency(minute.p50)}`,
      "In the last full minute, estimated: one request in a hundred took longer (p99), and one in two (p50)"),
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
  if (!minutes.some(minute => total(minute) > 0)) {
    return show("charts", h("p", { class: "muted" }, "No requests for tokens in the last hour, so no charts of it."));
  }
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
  const names = { p50: "half within", p99: "99 in 100 within" };
  const legend = Object.entries(names).map(([name, words]) =>
    h("span", { title: name }, h("span", { class: `key ${name}` }), words));
  const text = "Time to answer by minute in the last hour, estimated: in the slowest minute, 99 in 100 requests took "
    + `up to ${latency(slowest)}`;
  return chart("Time to answer", legend, labels, text, minutes, x,
    minute => `half within ${latency(minute.p50)}, 99 in 100 within ${latency(minute.p99)}`,
    band, h("path", { class: "p50", d: path("p50") }), h("path", { class: "p99", d: path("p99") }));
}

// The audiences, in the report's order: the worst first, unless people want another.

const states = {
  failing: ["bad", "No token"], refresh_failing: ["warn", "Refresh fails"], fetching: ["idle", "Being fetched"],
  held: ["ok", "Held"], idle: ["idle", "Not asked for yet"],
};
const firstRows = 25;
let filter = "";
let rowLimit = firstRows;
/** `by` is a name in `orders`, or empty for the report's order. */
let order = { by: "", isDown: false };

const compareNames = new Intl.Collator("en", { numeric: true }).compare;
const orders = {
  audience: { name: "name", compare: (a, b) => compareNames(a.audience, b.audience) },
  expires_at: { name: "life left", compare: (a, b) => (a.expires_at ?? Infinity) - (b.expires_at ?? Infinity) },
  next_refresh_at: {
    name: "next refresh", compare: (a, b) => (a.next_refresh_at ?? Infinity) - (b.next_refresh_at ?? Infinity),
  },
  hits: { name: "hits", isDown: true, compare: (a, b) => a.hits - b.hits },
  last_used_at: { name: "last used", isDown: true, compare: (a, b) => (a.last_used_at ?? 0) - (b.last_used_at ?? 0) },
};

const ranks = Object.fromEntries(Object.keys(states).map((state, rank) => [state, rank]));

/** Those of one state by name, but for those that are not renewed, which the report has in the order of their ends. */
function byTrouble(a, b) {
  return ranks[a.state] - ranks[b.state] || (a.state === "refresh_failing" ? 0 : orders.audience.compare(a, b));
}

function identity(row) {
  return JSON.stringify([row.audience, row.scope, row.organization, row.client, row.holder]);
}

function audiences() {
  const all = report.audiences;
  for (const id of ["filter", "sort"]) document.getElementById(id).hidden = all.length < 2;
  chips(all);
  if (all.length === 0) return show("audiences", empty());
  const found = all.filter(row => words(row).includes(filter));
  const direction = order.isDown ? -1 : 1;
  const compare = orders[order.by]?.compare;
  found.sort(compare ? (a, b) => direction * compare(a, b) || orders.audience.compare(a, b) : byTrouble);
  const shown = found.slice(0, rowLimit);
  const left = found.length - shown.length;
  const rows = compare || filter ? shown.map(audience) : grouped(found).slice(0, rowLimit);
  const untold = report.audience_count - all.length;
  show("audiences",
    found.length === 0
      ? h("p", { class: "card empty muted" }, `None of ${many(all.length, "audience")} has “${filter}” in it.`)
      : table("Audiences", audienceColumns, rows, order),
    (left > 0 || filter || untold > 0) && h("p", { class: "more muted" },
      `${count(shown.length)} of ${many(found.length, "audience")}${filter ? " that match" : ""}. `,
      untold > 0 && `${count(untold)} more are held, and not told of here. `,
      left > 0 && h("button", { type: "button", "data-rows": Math.min(left, 200) },
        `Show ${count(Math.min(left, 200))} more`)));
}

/** How many audiences fare how; each filters by it. */
function chips(all) {
  const counts = Object.entries(states).map(([name, [tone, label]]) =>
    [tone, label, all.filter(row => row.state === name).length]).filter(([, , number]) => number > 0);
  show("chips", all.length > 1 && counts.map(([tone, label, number]) => h("button", {
    type: "button", "data-filter": label.toLowerCase(), "aria-pressed": `${filter === label.toLowerCase()}`,
  }, icon(tone), ` ${count(number)} ${label.toLowerCase()}`)));
}

/** Rows that are told of once: more than three of one cause become one until people open it. */
function grouped(rows) {
  const sizes = new Map();
  for (const row of rows) sizes.set(row.problem, (sizes.get(row.problem) ?? 0) + 1);
  const told = new Set();
  return rows.flatMap(row => {
    const problem = report.problems[row.problem];
    if (!problem || sizes.get(row.problem) < 4) return audience(row);
    const name = `rows of ${nameOf(problem)}`;
    const isOpen = opened.has(name);
    if (told.has(row.problem)) return isOpen ? audience(row) : [];
    told.add(row.problem);
    const head = h("div", { class: "state" }, problemIcon(problem), h("div", null,
      h("button", { type: "button", "aria-expanded": `${isOpen}`, "data-row": name, class: "group" },
        many(sizes.get(row.problem), "audience")), h("small", null, " ", code(row))));
    return [{ cells: [head, "", "", "", ""] }, ...isOpen ? [audience(row)] : []];
  });
}

function words(row) {
  return [row.audience, row.scope, row.organization, row.client, states[row.state][1], row.last_failure?.error]
    .filter(Boolean).join(" ").toLowerCase();
}

const audienceColumns = [
  { name: "Audience", kind: "head", sort: "audience" },
  { name: "Life left (│ refresh)", kind: "life", sort: "expires_at",
    title: "The bar is what is left of the token's life; at the line in it the token is replaced" },
  { name: "Next refresh", kind: "time", sort: "next_refresh_at" },
  { name: "Hits", kind: "number", sort: "hits",
    title: "Answers that cost no mint, since the token is held or the configuration was read" },
  { name: "Used", kind: "time", sort: "last_used_at" },
];

function audience(row) {
  const [ownTone, state] = states[row.state];
  const tone = report.problems[row.problem]?.condition === "ok" ? "idle" : ownTone;
  const id = identity(row);
  const isOpen = opened.has(id);
  const details = [
    row.scope && `scope ${row.scope}`, row.organization && `organization ${row.organization}`,
    (row.client !== report.clients[0]?.name || row.holder) && `client ${row.client}`, row.holder && `holder ${row.holder}`,
    row.is_prefetched && "prefetched",
  ].filter(Boolean).join(" · ");
  const failure = row.last_failure;
  const isHeld = row.minted_at != null;
  const head = h("div", { class: "state" }, icon(tone), h("div", null,
    h("button", { type: "button", class: "name", "aria-expanded": `${isOpen}`, "data-row": id },
      h("bdi", null, row.audience)),
    h("small", null, ` ${state}`, failure?.is_current && [" ", code(row)], details && ` · ${details}`)));
  return {
    cells: [
      head, isHeld ? life(row, tone) : null,
      row.is_fetching ? "under way" : isHeld ? when(row.next_refresh_at, "if asked for") : null,
      row.hits > 0 ? count(row.hits) : null, row.last_used_at ? when(row.last_used_at) : null,
    ],
    more: isOpen && more(row),
  };
}

/** The cause, in one word; what is known of it stands once, with the problems. */
function code(row) {
  const word = h("code", null, row.last_failure.error);
  return row.problem == null ? word : h("a", { href: `#problem-${row.problem}` }, word);
}

function life(row, tone) {
  const whole = row.expires_at - row.minted_at;
  const left = Math.max(0, row.expires_at - now());
  const mark = row.next_refresh_at && (row.expires_at - row.next_refresh_at) / whole;
  const text = `${duration(left)} of ${duration(whole)}`;
  return [h("span", null, duration(left)), meter(left / whole, tone, `Life left of ${row.audience}`, text, mark)];
}

/** What people see of a row that they have opened. */
function more(row) {
  const failure = row.last_failure;
  const isHeld = row.minted_at != null;
  return pairs([
    isHeld && ["Minted", when(row.minted_at, "–", true), row.key_id && [", signed with ", h("code", null, row.key_id)]],
    isHeld && ["Ends", when(row.expires_at, "–", true), row.served_until && `, given out until ${clock(row.served_until)}`],
    isHeld && ["Next refresh", when(row.next_refresh_at, "when somebody asks for it", true)],
    row.hits > 0 && ["Hits", count(row.hits), row.last_used_at && [", the last ", when(row.last_used_at, "–", true)]],
    failure && [failure.is_current ? "Error" : "Error, over", h("code", null, failure.error), " ",
      when(failure.at, "–", true), failure.times > 1 && `, ${failure.times} times in a row`, ". ",
      row.problem == null && [sentence(failure.message), testimony(failure.evidence)], notBefore(failure.retry_at), " ",
      row.problem == null && failure.is_current && h("p", { class: "remedy" }, failure.remedy),
      row.problem != null && h("a", { href: `#problem-${row.problem}` }, "What it means, and what to do"),
      failure.upstream_request_id && h("p", { class: "muted" }, `The tenant's request id: ${failure.upstream_request_id}`)],
    !isHeld && !failure && ["Token", row.is_fetching ? "being asked for" : "nobody has asked for it yet"],
  ]);
}

function empty() {
  const address = report.listeners.find(listener => !listener.is_admin)?.address ?? "";
  const [, path] = address.match(/^unix:([^?]*)/) ?? [];
  const isTLS = report.listeners.some(listener => listener.address === address && listener.is_tls);
  const place = address.replace(/^(0\.0\.0\.0|\[::\]):/, `${location.hostname}:`);
  const line = [
    "curl", path && `--unix-socket ${path}`, report.callers && !path && `-H "Authorization: Bearer $KEY"`,
    `${path ? "http://localhost" : `${isTLS ? "https" : "http"}://${place}`}/token/https%3A%2F%2Fapi.example.com%2F`,
  ].filter(Boolean).join(" ");
  const isUntouched = report.traffic.every(minute => total(minute) === 0);
  return h("div", { class: "card empty" },
    h("p", null, isUntouched ? "No audience has been asked for yet. Try:" : "No token is held. Try:"),
    h("pre", null, h("code", null, line)),
    report.callers && h("p", { class: "muted" }, path
      ? "As one of the users that are callers, or with a caller's key as Bearer."
      : "KEY is a caller's key; a caller with a certificate shows that instead."));
}

// Who asks, and who is refused.

function callers() {
  const all = report.callers ?? [];
  document.getElementById("callers-section").hidden = all.length === 0;
  const columns = [
    { name: "Caller", kind: "head" }, { name: "Seen", kind: "time" }, { name: "Requests", kind: "number" },
    { name: "Denied", kind: "number", title: "Answered with 401 or 403" }, { name: "Audiences", kind: "list" },
  ];
  show("callers", table("Callers", columns, all.slice(0, 200).map(caller => ({
    cells: [
      h("bdi", { class: "name" }, caller.name), caller.last_seen ? when(caller.last_seen) : null,
      caller.requests > 0 ? count(caller.requests) : null,
      caller.denied > 0 ? h("strong", null, count(caller.denied)) : null, list(caller.audiences),
    ],
  }))), all.length > 200 && h("p", { class: "more muted" }, `${count(all.length - 200)} more are in status.json.`));
}

/** A few names, and how many more there are. */
function list(names) {
  const texts = (names ?? []).map(one => one.audience ?? one);
  if (texts.length === 0) return null;
  return [texts.slice(0, 3).map((text, index) => [index > 0 && ", ", h("bdi", null, text)]),
    texts.length > 3 && h("small", { title: texts.slice(3, 40).join("\n") }, ` and ${count(texts.length - 3)} more`)];
}

function denials() {
  const all = report.denials ?? [];
  document.getElementById("denials-section").hidden = all.length === 0;
  const columns = [
    { name: "When", kind: "time" }, { name: "Why", kind: "head" }, { name: "Caller", kind: "word" },
    { name: "Audience", kind: "list" }, { name: "From", kind: "word" },
  ];
  show("denials", table("Recent denials", columns, all.map(denial => ({
    cells: [when(denial.time),
      [sentence(denial.reason), denial.times > 1 && h("small", null, ` ${count(denial.times)} times`)],
      denial.caller && h("bdi", null, denial.caller),
      denial.audience && h("bdi", null, denial.audience), denial.peer && h("code", null, denial.peer)],
  }))));
}

// The clients, and what the broker itself depends on.

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
      ["Last mint", when(client.last_mint_at, "none yet", true)],
      client.last_failure && ["Last error", h("code", null, client.last_failure.error), " ",
        when(client.last_failure.at), !client.last_failure.is_current && ", over"],
      client.scarce_until && ["Scarce", `refreshes that can wait do so until ${clock(client.scarce_until)}`],
      client.limited_organizations > 0 && ["Limited", many(client.limited_organizations, "organization")],
      client.key_set && ["Signing keys", keySet(client.key_set)],
    ]), allotments(client))));
}

function clientState(client) {
  const say = (tone, text) => h("p", null, icon(tone), " ", text);
  const block = client.block;
  if (block && block.until > now()) {
    const words = { limit: ["warn", "limited"], refusal: ["bad", "refused"], fault: ["warn", "out of reach"] };
    const [tone, word] = words[block.cause];
    return say(tone, `${word}; asked again in ${duration(block.until - now())}`);
  }
  if (block) return say("warn", "the next request shows whether it has recovered");
  if (client.last_failure?.is_current) return say("warn", "the last request failed");
  return client.last_mint_at ? say("ok", "OK") : say("idle", "not asked yet");
}

function secret(one) {
  const state = one.accepted_at ? `accepted ${relative(one.accepted_at)}`
    : one.since ? "not tried yet: the next mint shows whether it is good" : "the previous one, for when the new one is refused";
  return h("li", null, h("code", { title: "A fingerprint, until this process ends" }, one.fingerprint), " ", state,
    one.since && h("small", null, `, in use since ${clock(one.since)}`));
}

function assertion(one) {
  const state = one.problem ? sentence(one.problem) : one.expires_at ? `expires ${relative(one.expires_at)}` : "no end";
  return [state, h("small", null, ` in ${one.file}`)];
}

function requests(client) {
  const ended = Object.entries(client.outcomes).map(([name, number]) => `${count(number)} ${name}`);
  const waiting = [[client.in_flight, "in flight"], [client.queued, "waiting"]].filter(([number]) => number > 0)
    .map(([number, word]) => `${count(number)} ${word}`);
  return [...ended, ...waiting].join(", ") || "none yet";
}

/** What is left of quotas and of the month's budget: a name, a bar, and what it says in words. */
function allotments(client) {
  const rows = client.quotas.map(quota => {
    const text = `${count(quota.remaining)} of ${count(quota.limit)} left`;
    if (quota.resets_at < now()) return [quota.name, null, `${text} before it was reset`];
    const tone = quota.remaining === 0 ? "bad" : quota.remaining <= quota.limit / 10 ? "warn" : "ok";
    return [quota.name, meter(quota.limit ? quota.remaining / quota.limit : 0, tone, `Quota ${quota.name}`, text, 0.1),
      `${text}, resets ${relative(quota.resets_at)}`];
  });
  const budget = client.budget;
  if (budget) {
    const most = budget.limit;
    const left = Math.max(0, most - budget.used);
    const reserve = budget.reserve ?? 0;
    const text = `${count(left)} of ${count(most)} left`;
    rows.push(["month", meter(most ? left / most : 0, left === 0 ? "bad" : left <= reserve ? "warn" : "ok",
      "Tokens left this month", text, most ? reserve / most : null),
      `${text}, counted ${budget.counted_by === "fleet" ? "by the whole fleet" : "since the start"}`]);
  }
  if (rows.length === 0) return null;
  return h("div", { class: "allotments" }, h("h4", null, "Left to mint"),
    rows.map(([name, bar, text]) => [h("span", null, name), bar ?? h("span"), h("span", { class: "told" }, text)]),
    h("small", null, [
      client.quotas.length > 0 && "A quota's bar that ends before the line: refreshes that can wait do so. ",
      budget?.reserve > 0 && "The month's: only callers without a token get one.",
    ]));
}

function keySet(set) {
  return [
    set.problem && h("p", null, icon("warn"), " ", sentence(set.problem)),
    h("ul", null, set.keys.map(key =>
      h("li", null, h("code", null, key.kid ?? "without a name"), h("small", null, ` ${key.alg}`)))),
    h("small", null, set.fetched_at ? ["read ", when(set.fetched_at)] : "read when the first token comes"),
  ];
}

function store() {
  const one = report.store;
  if (!one) return "none: a restart mints anew";
  const failed = one.load.failed + one.claim.failed + one.save.failed;
  return [one.problem && [icon("warn"), " "], h("code", null, one.location), h("small", null, " ", [
    one.problem ?? "in use", `${many(one.load.ok + one.claim.ok, "look-up")}, ${count(one.save.ok)} saved`,
    failed > 0 && `${count(failed)} failed`, one.ignored > 0 && `${count(one.ignored)} not believed`,
  ].filter(Boolean).join(", "))];
}

function certificate(one) {
  const left = one.expires_at == null ? null : one.expires_at - now();
  const tone = left == null || left < 0 ? "bad" : left < 7 * 86400 ? "warn" : "ok";
  const names = [one.names ?? []].flat();
  return h("li", null, icon(tone), ` ${one.use.replaceAll("_", " ")}: `,
    left == null ? "cannot be read" : left < 0 ? `expired ${duration(-left)} ago` : `${duration(left)} left`,
    names.length > 0 && h("small", null, " for ", list(names)));
}

function issuerKeys(one) {
  return h("li", null, icon(one.error ? "warn" : one.read_at ? "ok" : "idle"), " ", h("bdi", null, one.issuer), h("small", null,
    one.error ? ` ${sentence(one.error)}` : one.read_at ? [" read ", when(one.read_at)] : " read when the first caller comes"));
}

function configuration(one) {
  if (one.last_reload_ok === false) {
    return [icon("bad"), " the last change was refused ", when(one.last_reload_at), ": ", sentence(one.error),
      one.loaded_at != null && h("small", null, ` In force is the one from ${clock(one.loaded_at)}.`)];
  }
  return ["in force since ", one.loaded_at == null ? "the start" : clock(one.loaded_at)];
}

function process() {
  const one = report.process;
  // Behind those that are configured stands who was not recognised, in parentheses.
  const number = report.callers?.filter(caller => !caller.name.startsWith("(")).length;
  show("process", pairs([
    report.configuration && ["Configuration", configuration(report.configuration)],
    report.certificates?.length > 0 && ["Certificates", h("ul", null, report.certificates.map(certificate))],
    report.key_sets?.length > 0 && ["Callers' issuers", h("ul", null, report.key_sets.map(issuerKeys))],
    ["Listens on", h("ul", null, report.listeners.map(listener => h("li", null, h("code", null, listener.address),
      h("small", null, " ", [
        listener.is_admin && "admin", listener.is_tls && "TLS",
        many(listener.http1 + listener.http2, "connection"), listener.http2 > 0 && `${listener.http2} of HTTP/2`,
      ].filter(Boolean).join(", ")))))],
    ["Callers", number == null ? "whoever can connect" : count(number)],
    ["Store", store()],
    ["Version", one.version],
    ["Started", when(one.started_at, "–", true)],
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
  callers();
  denials();
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

function filterBy(text) {
  filter = text.trim().toLowerCase();
  rowLimit = firstRows;
  render();
}

function sortBy(by) {
  if (by === order.by) order.isDown = !order.isDown;
  else order = { by, isDown: orders[by]?.isDown ?? false };
  document.getElementById("sort").value = by;
  render();
}

const field = document.getElementById("filter");
field.addEventListener("input", () => filterBy(field.value));
const sort = document.getElementById("sort");
sort.append(h("option", { value: "" }, "By trouble"),
  ...Object.entries(orders).map(([value, { name }]) => h("option", { value }, `By ${name}`)));
sort.addEventListener("change", () => sortBy(sort.value));
document.querySelector("main").addEventListener("click", event => {
  const button = event.target.closest("button");
  if (!button) return;
  const { rows, row, sort: by, filter: chip, try: name } = button.dataset;
  if (rows) rowLimit += Number(rows);
  if (row && !opened.delete(row)) opened.add(row);
  if (by) return sortBy(by);
  if (chip) {
    field.value = chip === filter ? "" : chip;
    return filterBy(field.value);
  }
  if (name) {
    const problem = report.problems.find(one => nameOf(one) === name);
    if (problem?.retry) return retry(name, problem.retry);
  }
  render();
});
document.getElementById("place").textContent = location.host;
document.getElementById("zone").textContent = `in ${Intl.DateTimeFormat().resolvedOptions().timeZone}`;
poll();
