extension StatusPage {
  /// The last hour. A minute is one unit wide, the present one at the right.
  static let charts = #"""
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
    """#
}
