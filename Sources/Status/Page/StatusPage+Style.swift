extension StatusPage {
  static let style = #"""
    :root {
      color-scheme: light dark;
      --ground: #f6f6f4; --card: #fff; --line: #e2e2dd; --edge: #8b8b83;
      --text: #1d1d1b; --muted: #62625c; --link: #1f5fa8;
      --ok: #1b7a46; --warn: #8f5500; --bad: #b3261e; --idle: #73736c;
      --ok-fill: #43a06d; --warn-fill: #dc9a1e; --bad-fill: #d6493e; --track: #e4e4de;
      --band: #9dbfe6; --mark: #2c65ad;
    }
    @media (prefers-color-scheme: dark) {
      :root {
        --ground: #151514; --card: #1e1e1c; --line: #34342f; --edge: #6f6f68;
        --text: #eaeae5; --muted: #a3a39b; --link: #8ab8ef;
        --ok: #64c990; --warn: #e8b04f; --bad: #ff8b7f; --idle: #9a9a92;
        --ok-fill: #3f9466; --warn-fill: #c8881c; --bad-fill: #cf4a3f; --track: #34342f;
        --band: #365780; --mark: #8ab8ef;
      }
    }

    * { box-sizing: border-box; }
    body {
      margin: 0 auto; max-width: 76rem; padding: 1rem clamp(.75rem, 3vw, 2rem) 2rem;
      background: var(--ground); color: var(--text);
      font: 15px/1.45 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; font-variant-numeric: tabular-nums;
      overflow-wrap: anywhere;
    }
    h1, h2, h3, p, dl, dd, ul, figure, pre { margin: 0; padding: 0; font-size: inherit; }
    h1 { font-size: 1.1rem; font-weight: 650; letter-spacing: -.01em; }
    h1 small { font-weight: 400; letter-spacing: 0; }
    h2 { font-size: 1.05rem; font-weight: 650; }
    h3 { font-weight: 600; unicode-bidi: isolate; }
    a { color: var(--link); }
    ul { list-style: none; }
    small, .muted, footer, th, dt { color: var(--muted); }
    small { font-size: .85em; }
    small.line, small.block { display: block; }
    code, .name { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; font-size: .92em; }
    :focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
    section { margin-top: 1.75rem; }
    footer { margin-top: 2.5rem; }
    header, .bar {
      display: flex; flex-wrap: wrap; align-items: center; justify-content: space-between; gap: .25rem 1rem;
    }
    .card { background: var(--card); border: 1px solid var(--line); border-radius: 8px; }
    .icon { width: 1em; height: 1em; flex: none; vertical-align: -.13em; fill: currentColor; }
    .icon.ok { color: var(--ok); } .icon.warn { color: var(--warn); }
    .icon.bad { color: var(--bad); } .icon.idle { color: var(--idle); }

    #pulse { color: var(--muted); }
    .lost #pulse { color: var(--bad); font-weight: 600; }
    .lost main > :not(#health) { opacity: .55; }
    #health { margin-top: .75rem; padding: 1rem 1.25rem; border-left: 5px solid var(--idle); }
    #health.ok { border-left-color: var(--ok-fill); }
    #health.warn { border-left-color: var(--warn-fill); }
    #health.bad { border-left-color: var(--bad-fill); }
    #headline { display: flex; align-items: center; flex-wrap: wrap; gap: .15rem .6rem; }
    #headline strong { font-size: 1.5rem; font-weight: 650; line-height: 1.25; letter-spacing: -.015em; }
    #headline .icon { width: 1.4rem; height: 1.4rem; }
    #problems li {
      display: grid; grid-template-columns: 1.1rem 1fr; gap: .1rem .6rem; margin-top: .9rem;
    }
    #problems .icon { margin-top: .2em; }
    .remedy { display: grid; grid-template-columns: 1.3rem 1fr; }
    .remedy::before { content: "→"; color: var(--muted); }
    #problems .remedy { grid-column: 2; }

    #facts dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: 1rem; }
    #facts dd { font-size: 1.35rem; font-weight: 600; letter-spacing: -.01em; line-height: 1.3; }
    #facts small { display: block; font-size: .85rem; font-weight: 400; letter-spacing: 0; line-height: 1.4; }

    #charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); gap: 1rem; }
    figure { padding: .9rem 1.1rem 1rem; }
    figcaption {
      display: flex; flex-wrap: wrap; align-items: baseline; justify-content: space-between; gap: 0 1rem;
      margin-bottom: .7rem;
    }
    .plot {
      display: grid; grid-template: 7.5rem auto / auto 1fr; gap: .25rem .5rem; font-size: .8rem; color: var(--muted);
    }
    .plot svg { width: 100%; height: 100%; overflow: visible; }
    .scale {
      display: flex; flex-direction: column; justify-content: space-between; text-align: right; line-height: 0;
    }
    .span { grid-column: 2; display: flex; justify-content: space-between; }
    .grid { stroke: var(--line); vector-effect: non-scaling-stroke; }
    .fill-ok { fill: var(--ok-fill); } .fill-refused { fill: var(--warn-fill); } .fill-failed { fill: var(--bad-fill); }
    .band { fill: var(--band); opacity: .5; shape-rendering: crispEdges; }
    path.p50, path.p99 { fill: none; stroke: var(--mark); stroke-width: 1.75; vector-effect: non-scaling-stroke; }
    path.p99 { stroke: var(--text); }
    .hover { fill: transparent; }
    .hover:hover { fill: var(--text); opacity: .08; }
    .legend span + span { margin-left: .5em; }
    .key { display: inline-block; width: .7em; height: .7em; margin-right: .35em; border-radius: 2px; }
    .key.ok { background: var(--ok-fill); }
    .key.refused { background: var(--warn-fill); }
    .key.failed { background: var(--bad-fill); }
    .key.p50, .key.p99 { height: 0; border-top: 2px solid var(--mark); vertical-align: .25em; }
    .key.p99 { border-color: var(--text); }

    .bar { margin-bottom: .6rem; }
    input, button {
      font: inherit; color: inherit; padding: .3rem .7rem; border: 1px solid var(--edge); border-radius: 6px;
      background: var(--card);
    }
    input { width: 16rem; max-width: 100%; }
    button { color: var(--link); cursor: pointer; }
    table { width: 100%; border-collapse: collapse; }
    th, td { padding: .6rem .75rem; text-align: left; vertical-align: top; }
    th { font-weight: 400; font-size: .85rem; white-space: nowrap; border-bottom: 1px solid var(--line); }
    tbody + tbody tr:first-child td { border-top: 1px solid var(--line); }
    .number { text-align: right; }
    td.number, td.time { white-space: nowrap; }
    .none { color: var(--muted); }
    .life { min-width: 9rem; width: 24%; }
    .state { display: grid; grid-template-columns: 1.1rem 1fr; gap: 0 .5rem; }
    .state .icon { margin-top: .22em; }
    .why td { padding-top: 0; }
    .why td > * { padding-left: 1.6rem; }
    .meter {
      display: block; width: 100%; height: 6px; margin: .5em 0 .3em; border-radius: 3px; overflow: hidden;
      background: var(--track);
    }
    .meter rect { fill: var(--ok-fill); }
    .meter.warn rect { fill: var(--warn-fill); }
    .meter.bad rect { fill: var(--bad-fill); }
    .meter line { stroke: var(--text); stroke-width: 2; opacity: .5; }
    .empty { padding: 1.25rem; }
    .empty pre, .more { margin-top: .6rem; }
    pre { white-space: pre-wrap; }

    #clients {
      display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr)); gap: 1rem;
      margin-top: .6rem;
    }
    #process { margin-top: .6rem; }
    article, #process { container-type: inline-size; padding: 1rem 1.25rem; }
    .client { display: flex; flex-wrap: wrap; justify-content: space-between; gap: .2rem 1rem; margin-bottom: .5rem; }
    .pairs { display: grid; grid-template-columns: minmax(6.5rem, max-content) 1fr; gap: .35rem 1rem; }
    .pairs .meter { max-width: 20rem; }
    @container (min-width: 48rem) {
      .pairs { grid-template-columns: repeat(2, minmax(6.5rem, max-content) 1fr); }
    }

    @media (min-width: 60rem) {
      #problems li { grid-template-columns: 1.1rem 1fr 1fr; }
      #problems .remedy { grid-column: 3; padding-left: 1rem; }
      .split { display: grid; grid-template-columns: 1fr 1fr; gap: 1.6rem; }
    }
    @media (max-width: 46rem) {
      /* A row becomes a card, and each cell says itself what it is. */
      table, tbody, tr, td { display: block; width: auto; }
      thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
      tbody { padding: .75rem .9rem; }
      tbody + tbody { border-top: 1px solid var(--line); }
      tbody + tbody tr:first-child td { border-top: 0; }
      td { padding: 0; }
      td + td {
        display: grid; grid-template-columns: 6.5rem 1fr; gap: 0 .75rem; margin: .35rem 0 0 1.6rem; text-align: left;
      }
      td + td::before { content: attr(data-label); color: var(--muted); }
      td.life { display: block; width: auto; }
      td.number, td.time { white-space: normal; text-align: left; }
      td.life::before, td.none { display: none; }
      .why td { margin-top: .35rem; }
      small.line { display: inline; }
      input { width: 100%; }
    }
    @media (prefers-reduced-motion: no-preference) {
      .meter rect { transition: width .4s; }
    }
    """#
}
