extension StatusPage {
  /// Asking for the report, and showing it.
  static let polling = #"""
    let report = null;
    /** By the page's monotonic clock. */
    let receivedAt = 0;
    /** In the broker's time; null while it answers. */
    let lostSince = null;
    let lostBecause = "";

    /** The broker's time, in Unix seconds: the browser's clock may be another. */
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
    """#
}
