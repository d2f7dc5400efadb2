import Basics
import HTTPServer
import OAuth
import IO
import BrokerCore

/// Finds out on one event loop who sends a request.
package struct Authenticator {
  enum Verdict {
    /// Nobody needs to prove anything.
    case anyone
    case caller(Caller)
    /// A token of a service account that is still to be checked, which takes a signature and perhaps a request.
    /// With a client id, that must be the caller's name.
    case unproven([UInt8], SHA256Digest, clientID: String?)
    /// A client of the tenant's own, with its credentials there.
    case holder(PassThroughCredentials)
    case refused(Problem)
  }

  /// A service account's token that was checked, and until when that is believed.
  package struct Proven: Sendable {
    let digest: SHA256Digest
    let caller: Caller
    let until: Instant
    /// Under which that was so.
    let routing: AccessPolicy
  }

  private let routing: AccessPolicy
  private var callers: Callers? { routing.callers }
  /// Checked once in a while, not for each request.
  private var proven: [SHA256Digest: Proven] = [:]
  private static let capacity = 4096

  init(_ routing: AccessPolicy) {
    self.routing = routing
  }

  mutating func learn(_ proof: Proven) {
    // It may have been begun under another configuration.
    guard proof.routing === routing else { return }
    if proven.count >= Self.capacity { proven.removeAll() }
    proven[proof.digest] = proof
  }

  /// By what the request says, else by whose process the connection is.
  func identify(
    _ head: borrowing RequestHead, _ bytes: Span<UInt8>, _ connection: ResponseWriter, now: Instant
  ) -> Verdict {
    guard let callers else { return .anyone }
    guard let field = head.value(of: "authorization", in: bytes) else {
      if let caller = callers.directory.caller(connection) { return .caller(caller) }
      return .refused(Self.problem("callers must prove who they are", "Bearer realm=\"token-broker\""))
    }
    if head.isRepeated("authorization", in: bytes) {
      return .refused(Problem(400, "invalid_request", "there are several Authorization fields"))
    }
    guard let token = Self.bearerToken(field, bytes) else {
      return .refused(Self.problem("the Authorization field holds no bearer token", "Bearer realm=\"token-broker\""))
    }
    let digest = SHA256Digest(of: bytes.extracting(token))
    if let caller = callers.directory.caller(.key(digest)) { return .caller(caller) }
    if callers.serviceAccounts != nil {
      if let proof = proven[digest], now < proof.until { return .caller(proof.caller) }
      if bytes.extracting(token).hasThreeSegments { return .unproven(bytes.array(at: token), digest, clientID: nil) }
    }
    return .refused(Self.unknownToken)
  }

  /// For an OAuth client: its id is a caller's name, its secret the caller's key. Without a secret, as anybody else.
  func identify(
    _ credentials: GrantRequest.Credentials?, _ head: borrowing RequestHead, _ bytes: Span<UInt8>,
    _ connection: ResponseWriter, now: Instant
  ) -> Verdict {
    if callers == nil, routing.passThrough == nil { return .anyone }
    guard let credentials, let secret = credentials.secret else {
      let verdict = identify(head, bytes, connection, now: now)
      guard let id = credentials?.clientID else { return verdict }
      switch verdict {
      case .caller(let caller) where caller.name != id: return .refused(Self.otherName)
      case .unproven(let token, let digest, _): return .unproven(token, digest, clientID: id)
      default: return verdict
      }
    }
    let digest = secret.withBytes { SHA256Digest(of: $0) }
    if let caller = callers?.directory.caller(.key(digest)) {
      return caller.name == credentials.clientID ? .caller(caller) : .refused(Self.unknownClient)
    }
    // Neither a caller's key under another name nor a mistyped one is for the tenant to see.
    guard routing.passThrough != nil, callers?.byName[credentials.clientID] == nil else {
      return .refused(Self.unknownClient)
    }
    return .holder(
      PassThroughCredentials(
        clientID: credentials.clientID, secret: secret, method: credentials.isBasic ? .basic : .post))
  }

  static var unknownClient: Problem {
    problem("nobody with this client id and secret may have this", "Basic realm=\"token-broker\"")
  }

  static var otherName: Problem {
    problem("the client id is not the caller's name", "Bearer realm=\"token-broker\"")
  }

  static var unknownToken: Problem {
    problem("the bearer token is no caller's", "Bearer realm=\"token-broker\", error=\"invalid_token\"")
  }

  static func problem(_ description: String, _ challenge: String) -> Problem {
    var problem = Problem(401, "invalid_caller", description)
    problem.fields = [("WWW-Authenticate", challenge)]
    return problem
  }

  /// RFC 6750 §2.1; the scheme's case does not matter (RFC 9110 §11.1).
  private static func bearerToken(_ field: Range<Int>, _ bytes: Span<UInt8>) -> Range<Int>? {
    let scheme: StaticString = "bearer "
    var start = field.lowerBound + scheme.utf8CodeUnitCount
    guard start < field.upperBound, bytes.matches(scheme, at: field.lowerBound..<start) else { return nil }
    while start < field.upperBound, bytes[start] == UInt8(ascii: " ") { start += 1 }
    return start < field.upperBound ? start..<field.upperBound : nil
  }
}

extension Span<UInt8> {
  /// As a signed JWT has.
  fileprivate var hasThreeSegments: Bool {
    var dots = 0
    for index in 0..<count where self[index] == UInt8(ascii: ".") { dots += 1 }
    return dots == 2
  }
}

extension CallerDirectory {
  /// By the names in its certificate, in their order, or by the user and groups of its Unix peer.
  fileprivate func caller(_ connection: ResponseWriter) -> Caller? {
    if let certificate = connection.certificate {
      let names =
        certificate.uris.map { CertificateName.uri($0) } + certificate.dnsNames.map { .dns($0.lowercased()) }
        + [.subject(certificate.subject)]
      for name in names {
        if let caller = caller(.certificate(name)) { return caller }
      }
    }
    return connection.peer.flatMap { caller(user: $0.user, groups: $0.groups) }
  }
}
