import Basics
import OAuth
import Status
import Telemetry

/// What to say of the broker's own certificates, and of the keys by which it knows callers' tokens.
enum DependencyFindings {
  /// `now` is Unix time in seconds.
  static func certificate(_ certificate: OwnCertificate, now: Double) -> Finding {
    let days = certificate.daysLeft(now: now)
    let left = "\(days) \(days == 1 ? "day" : "days") left"
    let target = certificate.use.rawValue
    let names = "for \(certificate.shownNames), in \(certificate.file)"
    let facts: Finding.Facts = [
      ("certificate_names", JSONText.array(certificate.names.map { JSONText.string($0) })),
      ("certificate_expires_at", JSONText.number(Int(certificate.expiresAt))),
      ("certificate_days_left", JSONText.number(days)), ("file", JSONText.string(certificate.file)),
    ]
    let remedy = certificate.use.remedy
    return switch certificate.condition(now: now) {
    case .good: .ok(.certificate, target, "\(left), \(names)", facts)
    case .expiresSoon: .warning(.certificate, target, "\(left), \(names)", remedy: remedy, facts)
    case .expired:
      .failed(.certificate, target, "it expired at \(certificate.end), \(names)", remedy: remedy, facts)
    case .notYetValid:
      .failed(
        .certificate, target, "it is not valid yet, \(names)",
        remedy: "Set this machine's clock; else the certificate was made for later.", facts)
    }
  }

  /// The keys of the issuer of callers' tokens. Where they cannot be read from here, the broker may yet be meant to run
  /// elsewhere, and tokens for other callers can be had.
  static func keys(_ issuer: String, _ keys: KeySetStatus) -> Finding {
    if let problem = keys.problem {
      return .warning(
        .jwks, issuer, "callers' tokens cannot be checked: \(problem)", remedy: DependencyFigures.keySetRemedy)
    }
    let facts: Finding.Facts = [("keys", JSONText.number(keys.keys.count))]
    if keys.keys.isEmpty {
      return .warning(
        .jwks, issuer, "callers' tokens cannot be checked: their issuer has no key that can be used",
        remedy: "Compare kubernetes.jwksURL with the cluster's: `kubectl get --raw /openid/v1/jwks` shows its keys.",
        facts)
    }
    let count = "\(keys.keys.count) \(keys.keys.count == 1 ? "key" : "keys")"
    return .ok(.jwks, issuer, "\(count) to check callers' tokens with", facts)
  }
}
