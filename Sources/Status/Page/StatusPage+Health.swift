extension StatusPage {
  /// How things are at a glance, and what to do about them.
  static let health = #"""
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
            h("p", null, sentence(problem.detail),
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

    /** For those who have it open in a tab that they do not look at. */
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
    """#
}
