extension StatusPage {
  /// What is held, in the report's order: the worst first.
  static let audiences = #"""
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
        return h("p", { class: "muted" }, "Recovered. The last error was ", what, ". ", text);
      }
      return h("div", { class: "split" },
        h("p", null, what, failure.times > 1 && `, ${failure.times} times in a row`, ". ", sentence(failure.message),
          notBefore(failure.retry_at), failure.upstream_request_id
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
    """#
}
