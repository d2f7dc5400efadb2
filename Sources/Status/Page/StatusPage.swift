import Crypto
import FoundationEssentials
import HTTPServer

/// `/status`: a page that asks for `/status.json` again and again and shows it. All of it is in here: nothing else is
/// loaded.
enum StatusPage {
  static let response = Response(
    200,
    fields: [
      ("Content-Type", "text/html; charset=utf-8"), ("Cache-Control", "no-store"), ("Content-Security-Policy", policy),
      ("X-Content-Type-Options", "nosniff"), ("Referrer-Policy", "no-referrer"),
      ("Cross-Origin-Resource-Policy", "same-origin"),
    ], body: Array(html.utf8))

  /// The page may do what it does and nothing else, even if foreign text were to become part of it. The picture beside
  /// its title is a `data:` one.
  private static let policy = [
    "default-src 'none'", "script-src \(hash(script))", "style-src \(hash(style))", "img-src data:",
    "connect-src 'self'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
  ].joined(separator: "; ")

  private static func hash(_ text: String) -> String {
    "'sha256-\(Data(SHA256.hash(data: Array(text.utf8))).base64EncodedString())'"
  }

  private static let script =
    "\"use strict\";\n"
    + [elements, figures, health, charts, audiences, clients, polling].joined(separator: "\n\n")

  private static let html = #"""
    <!doctype html>
    <html lang="en">
    <head>
    <meta charset="utf-8">
    <title>token-broker</title>
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <link rel="icon" id="icon" href="data:,">
    <style>\#(style)</style>
    </head>
    <body>
    <header>
      <h1>token-broker <small id="place"></small></h1>
      <p id="pulse">connecting …</p>
    </header>
    <main>
      <noscript>This page needs JavaScript. <a href="status.json">status.json</a> has the same facts.</noscript>
      <section id="health" class="card" aria-label="Health">
        <p id="headline"></p>
        <div id="problems"></div>
      </section>
      <section id="facts" aria-label="Figures"></section>
      <section id="charts" aria-label="The last hour"></section>
      <section aria-labelledby="audiences-title">
        <div class="bar">
          <h2 id="audiences-title">Audiences</h2>
          <input id="filter" type="search" placeholder="Filter" aria-label="Filter audiences" autocomplete="off" hidden>
        </div>
        <div id="audiences"></div>
      </section>
      <section aria-labelledby="clients-title">
        <h2 id="clients-title">Clients</h2>
        <div id="clients"></div>
      </section>
      <section aria-labelledby="process-title">
        <h2 id="process-title">Process</h2>
        <div id="process" class="card"></div>
      </section>
    </main>
    <footer>
      <p>Times are <span id="zone">local</span>. The same facts: <a href="status.json">status.json</a>.
        For Prometheus: <a href="metrics">metrics</a>.</p>
    </footer>
    <script>\#(script)</script>
    </body>
    </html>

    """#
}
