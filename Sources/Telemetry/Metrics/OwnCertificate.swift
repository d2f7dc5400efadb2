import Basics
import IO

/// A certificate of the broker's own, which somebody has to replace in time: one that it shows, or one by which it
/// knows its callers.
package struct OwnCertificate: Sendable, Equatable {
  /// What it is for; the words are those of the metric's label.
  package enum Use: String, Sendable, CaseIterable {
    case listener
    case clientCA = "client_ca"
    /// Shown to the store.
    case store
    /// Shown to a client's tenant.
    case tlsClient = "tls_client_auth"
    /// Stands beside a client's private key, and is known to its tenant.
    case privateKeyJWT = "private_key_jwt"
  }

  package enum Condition: Sendable {
    case good, expiresSoon, expired, notYetValid
  }

  package let use: Use
  /// The client of the configuration that shows it; nil where none does.
  package let client: String?
  package let file: String
  package let names: [String]
  /// It is good between these two, in Unix time.
  package let notBefore: Double
  package let expiresAt: Double

  package init(
    _ use: Use, client: String? = nil, file: String, names: [String], notBefore: Double, expiresAt: Double
  ) {
    self.use = use
    self.client = client
    self.file = file
    self.names = names
    self.notBefore = notBefore
    self.expiresAt = expiresAt
  }

  private init(_ use: Use, _ client: String?, _ file: String, _ certificate: Certificate) {
    self.init(
      use, client: client, file: file, names: certificate.names, notBefore: certificate.notBefore,
      expiresAt: certificate.notAfter)
  }

  /// The first of a file's certificates, and that of its issuers which ends before it, if one does. None if the file
  /// cannot be read: whoever uses it says so.
  package static func chain(_ use: Use, client: String? = nil, in file: String) -> [OwnCertificate] {
    guard let all = try? Certificate.all(in: .file(file)), let leaf = all.first else { return [] }
    let first = all.dropFirst().min { $0.notAfter < $1.notAfter }.flatMap { $0.notAfter < leaf.notAfter ? $0 : nil }
    return [leaf, first].compactMap(\.self).map { Self(use, client, file, $0) }
  }

  /// That of a file's authorities which ends first. One of which the file has a newer one is replaced already.
  package static func authorities(_ use: Use, in file: String) -> [OwnCertificate] {
    let all = (try? Certificate.all(in: .file(file))) ?? []
    let newest = Dictionary(all.map { ($0.subject, $0) }) { $0.notAfter < $1.notAfter ? $1 : $0 }
    return newest.values.min { $0.notAfter < $1.notAfter }.map { [Self(use, nil, file, $0)] } ?? []
  }

  // MARK: At a time

  /// With less time left a certificate should have been replaced: 14 days, or a fifth of a short life. Those that are
  /// replaced by themselves are at half or a third of it.
  private static let secondsToWarn = 14.0 * 86_400

  /// `now` is a Unix time.
  package func condition(now: Double) -> Condition {
    if now >= expiresAt { return .expired }
    if now < notBefore { return .notYetValid }
    return expiresAt - now < min(Self.secondsToWarn, (expiresAt - notBefore) / 5) ? .expiresSoon : .good
  }

  /// Whole days until it ends; less than 0 once it has.
  package func daysLeft(now: Double) -> Int { Int(((expiresAt - now) / 86_400).rounded(.down)) }

  /// Its end by the calendar, in UTC (RFC 3339).
  package var end: String { UTCDate(Int(expiresAt)).dateAndTime + "Z" }

  /// The names, of which there may be any number, in a line: the first of them.
  package var shownNames: String {
    let shown = names.prefix(8).map { PrintableText.text($0) }
    let rest = names.count > shown.count ? ["and \(names.count - shown.count) more"] : []
    return (shown + rest).joined(separator: ", ")
  }
}
