extension StatusPage {
  /// Making elements, and making those that are there look like others.
  static let elements = #"""
    // Text goes in as text nodes only: much of it is foreign.

    const svgTags = new Set(["svg", "path", "rect", "line", "title"]);

    /** A new element. Attributes and children that are null or false are left out. */
    function h(tag, attributes, ...children) {
      const space = svgTags.has(tag) ? "http://www.w3.org/2000/svg" : "http://www.w3.org/1999/xhtml";
      const node = document.createElementNS(space, tag);
      for (const [name, value] of Object.entries(attributes ?? {})) {
        if (value != null && value !== false) node.setAttribute(name, value);
      }
      for (const child of children.flat(Infinity)) if (child != null && child !== false) node.append(child);
      return node;
    }

    /** Makes `node` what `next` is, and leaves alone what is so already: focus and selection stay where they are. */
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

    /** A part of a whole, from 0 to 1, and perhaps a mark on it. */
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
    """#

  /// Numbers and times in words.
  static let figures = #"""
    const count = new Intl.NumberFormat("en").format;
    const twoDigits = new Intl.NumberFormat("en", { maximumSignificantDigits: 2 }).format;

    function many(number, word, words = `${word}s`) { return `${count(number)} ${number === 1 ? word : words}`; }

    /** Never rounded up to all. */
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

    /** Relative, and absolute below or behind that. */
    function when(time, otherwise = "–") {
      if (time == null) return otherwise;
      const utc = new Date(time * 1000).toISOString();
      return h("time", { datetime: utc, title: `${utc.slice(0, 19).replace("T", " ")} UTC` },
        relative(time), h("small", { class: "line" }, ` ${clock(time)}`));
    }

    function sentence(text) { return text && text[0].toUpperCase() + text.slice(1).replace(/\.?$/, "."); }

    function notBefore(time) {
      return time > now() && ` Not asked again for ${duration(time - now())}, until ${clock(time)}.`;
    }
    """#
}
