import Basics
import IO
import HTTPClient

/// What to say of the way to a server, step by step, from what is known of one attempt to connect.
struct ConnectionFindings {
  let server: URLParts
  /// The proxy on the way, if any.
  let proxy: String?
  /// The host's addresses, or why there are none; nil where nobody asked.
  let lookup: Result<[String], HostLookup.Failure>?
  let report: ConnectionReport
  /// Unix time in seconds.
  let now: Double

  /// With fewer days left a certificate should have been replaced: those that are replaced by themselves are at a third
  /// of their life.
  static let daysToWarn = 14

  private var place: String { server.hostAndPort }
  private var addresses: [String] { (try? lookup?.get()) ?? [] }
  /// Where the connection was taken, if that is known.
  private var address: String? { report.address ?? (proxy == nil && addresses.count == 1 ? addresses[0] : nil) }
  private var failure: ConnectionReport.Failure? { report.failure }

  /// In the order of the steps; those behind a failed one are skipped.
  var all: [Finding] {
    guard let proxy else { return [lookedUp, connected, handshake] }
    let lookup = Finding.skipped(.dns, server.host, "looked up by the proxy \(proxy)")
    return [lookup, throughProxy(proxy), skippedConnect(proxy), handshake]
  }

  // MARK: Directly

  private var lookedUp: Finding {
    if let failure, failure.stage == .lookup {
      var reason = failure.message
      if case .failure(let problem) = lookup { reason = problem.reason }
      return .failed(
        .dns, server.host, reason,
        remedy:
          "Compare the host with the tenant's, letter by letter. If it is right, see whether this machine's resolver "
          + "answers (/etc/resolv.conf; in Kubernetes, whether a NetworkPolicy lets port 53 out).")
    }
    if addresses == [server.host] { return .skipped(.dns, server.host, "an address, which needs no looking up") }
    let known = addresses.isEmpty ? [report.address ?? ""] : addresses
    return .ok(
      .dns, server.host, known.joined(separator: ", "),
      [("addresses", JSONText.array(known.map { JSONText.string($0) }))] + milliseconds(report.lookupTime))
  }

  private var connected: Finding {
    if failure?.stage == .lookup { return .skipped(.tcp, place, "dns failed") }
    if let failure, failure.stage == .connect {
      return .failed(
        .tcp, place, failure.message,
        remedy:
          "See whether the port is right and a firewall or a NetworkPolicy lets it out. Where the way out is a proxy, "
          + "set upstream.proxy or HTTPS_PROXY.")
    }
    let there = address.map { " to \($0)" } ?? ""
    return .ok(
      .tcp, place, "connected\(there)\(words(report.connectTime, since: report.lookupTime))",
      addressFact + milliseconds(report.connectTime, since: report.lookupTime))
  }

  private var addressFact: Finding.Facts { address.map { [("address", JSONText.string($0))] } ?? [] }

  // MARK: By way of a proxy

  private func throughProxy(_ proxy: String) -> Finding {
    if let failure, failure.stage != .handshake {
      return .failed(
        .proxy, proxy, failure.message,
        remedy:
          "See whether the proxy is right (upstream.proxy, else HTTPS_PROXY), wants a user and password in its URL, "
          + "and may connect to \(place). NO_PROXY names the hosts that are reached without it.")
    }
    return .ok(.proxy, proxy, "connects to \(place)", addressFact)
  }

  private func skippedConnect(_ proxy: String) -> Finding {
    let isThrough = failure == nil || failure?.stage == .handshake
    return .skipped(.tcp, place, isThrough ? "connected by the proxy \(proxy)" : "proxy failed")
  }

  // MARK: TLS

  private var handshake: Finding {
    if let failure, failure.stage != .handshake {
      let check: Finding.Check = proxy != nil ? .proxy : failure.stage == .lookup ? .dns : .tcp
      return .skipped(.tls, place, "\(check.rawValue) failed")
    }
    if server.scheme == "http" { return .skipped(.tls, place, "http:// to this machine needs none") }
    let certificate = report.certificate
    if let failure {
      let names = certificate.map { ", but for \($0.names.isEmpty ? $0.subject : $0.names)" } ?? ""
      let words = failure.cause == .wrongHost ? "the certificate is not for \(server.host)\(names)" : failure.message
      return .failed(
        .tls, place, words, remedy: Self.remedy(failure.cause),
        [("cause", JSONText.string(failure.cause.rawValue))] + (certificate.map(facts) ?? []))
    }
    let version = report.tlsVersion ?? "TLS"
    let days = certificate?.expiresAt.map { Int((($0 - now) / 86400).rounded(.down)) }
    let left = days.map { ", \($0) \($0 == 1 ? "day" : "days") left" } ?? ""
    let issuer = certificate.map { ", certificate for \(server.host) by \($0.issuer)" } ?? ""
    let facts = [("tls_version", JSONText.string(version))] + (certificate.map(facts) ?? [])
    if let days, days < Self.daysToWarn {
      return .warning(
        .tls, place, "\(version)\(issuer)\(left)",
        remedy: "Have the certificate replaced before it expires: with it expired the broker gets no tokens.", facts)
    }
    return .ok(.tls, place, "\(version)\(issuer)\(left)", facts)
  }

  private func facts(_ certificate: ServerCertificate) -> Finding.Facts {
    var facts: Finding.Facts = [
      ("certificate_subject", JSONText.string(certificate.subject)),
      ("certificate_issuer", JSONText.string(certificate.issuer)),
      ("certificate_names", JSONText.string(certificate.names)),
    ]
    if let expiresAt = certificate.expiresAt {
      facts += [
        ("certificate_expires_at", JSONText.number(Int(expiresAt))),
        ("certificate_days_left", JSONText.number(Int(((expiresAt - now) / 86400).rounded(.down)))),
      ]
    }
    return facts
  }

  private static func remedy(_ cause: ConnectionReport.Cause) -> String {
    switch cause {
    case .expired: "Have the certificate replaced. If it is good elsewhere, this machine's clock is wrong."
    case .notYetValid: "Set this machine's clock; else the certificate was made for later."
    case .wrongHost:
      "Set the domain to a host that the certificate is for. For a custom domain, see that the tenant has its "
        + "certificate."
    case .unknownAuthority:
      "If the tenant is yours, or a proxy on the way opens TLS, put the authority's certificate into caFile "
        + "(AUTH0_CA_FILE); else the package ca-certificates is missing or old."
    case .noTLS: "What answers there speaks no TLS 1.2 or 1.3. See that the port is right, and what stands in between."
    case .authoritiesFile: "See that caFile (AUTH0_CA_FILE) can be read and holds certificates in PEM."
    case .identity:
      "See that the client's certificateFile and certificateKeyFile can be read and belong together, and that the "
        + "certificate is the one that the tenant expects. A client without one needs one to get in here."
    case .other: "See what stands between the broker and the tenant: the connection is taken and then lost."
    }
  }

  // MARK: Times

  private func milliseconds(_ end: Duration?, since start: Duration? = nil) -> Finding.Facts {
    guard let end else { return [] }
    return [("milliseconds", JSONText.number(Int((end - (start ?? .zero)).milliseconds)))]
  }

  private func words(_ end: Duration?, since start: Duration?) -> String {
    end.map { " in \(($0 - (start ?? .zero)).milliseconds) ms" } ?? ""
  }
}
