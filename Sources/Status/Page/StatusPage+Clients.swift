extension StatusPage {
  /// The clients and the process.
  static let clients = #"""
    function clients() {
      show("clients", report.clients.map(client => h("article", { class: "card" },
        h("div", { class: "client" }, h("h3", null, client.name), clientState(client)),
        pairs([
          ["Tenant", client.issuer ?? "no issuer known"],
          ["Client id", client.client_id ? h("code", null, client.client_id) : "the callers' own"],
          client.authentication
            && ["Proves itself", client.authentication, client.assertion_key && `, ${client.assertion_key}`],
          client.secrets.length > 0 && ["Secret", h("ul", null, client.secrets.map(secret))],
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

    function requests(client) {
      const ended = Object.entries(client.outcomes).map(([name, number]) => `${count(number)} ${name}`);
      const waiting = [[client.in_flight, "in flight"], [client.queued, "waiting"]].filter(([number]) => number > 0)
        .map(([number, word]) => `${count(number)} ${word}`);
      return [...ended, ...waiting].join(", ") || "none yet";
    }

    function clientFailure(failure) {
      return [h("code", null, failure.error), ` ${relative(failure.at)}`, !failure.is_current && ", recovered since",
        h("small", { class: "block" }, sentence(failure.message))];
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
    """#
}
