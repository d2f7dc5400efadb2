import Basics
import FoundationEssentials

/// `/status`: a page that asks for `/status.json` again and again and shows it. It is made of the files in Page, and is
/// one document: its style and its script stand in it, and it loads nothing else.
package enum StatusPage {
  /// The answer's fields; its status is 200.
  package static let fields: [(name: String, value: String)] = [
    ("Content-Type", "text/html; charset=utf-8"), ("Cache-Control", "no-store"), ("Content-Security-Policy", policy),
    ("X-Content-Type-Options", "nosniff"), ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
  ]

  /// page.html, where page.css and page.js take the places of the elements that name them.
  package static let body: [UInt8] = {
    let page = text(PackageResources.page_html)
      .replacing(
        #"<link rel="stylesheet" href="page.css">"#, with: "<style>\(text(PackageResources.page_css))</style>"
      )
      .replacing(#"<script src="page.js"></script>"#, with: "<script>\(text(PackageResources.page_js))</script>")
    return Array(page.utf8)
  }()

  /// The page may do what it does and nothing else, even if foreign text were to become part of it. The picture beside
  /// its title is a `data:` one.
  private static let policy = [
    "default-src 'none'", "script-src \(hash(PackageResources.page_js))",
    "style-src \(hash(PackageResources.page_css))", "img-src data:", "connect-src 'self'", "base-uri 'none'",
    "form-action 'none'", "frame-ancestors 'none'", "require-trusted-types-for 'script'",
  ].joined(separator: "; ")

  private static func text(_ file: [UInt8]) -> String { String(decoding: file, as: UTF8.self) }

  /// A source that allows the inline style or script with exactly this text (Content Security Policy Level 3, § 2.3.1).
  private static func hash(_ file: [UInt8]) -> String {
    "'sha256-\(Data(Hex.bytes(SHA256Digest(of: file.span).hex) ?? []).base64EncodedString())'"
  }
}
