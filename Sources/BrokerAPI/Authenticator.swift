import Basics
import BrokerCore
import HTTPServer
import IO
import OAuth

/// Finds out on one event loop who sends a request. Not to be copied, as each request would.
struct Authenticator: ~Copyable {
  private let policy: AccessPolicy
  private var callers: Callers? { policy.callers }
  /// Checked once in a while, not for each request.
  private var verified: [SHA256Digest: VerifiedToken] = [:]
  private static let capacity = 4096

  init(_ policy: AccessPolicy) { self.policy = policy }

  mutating func learn(_ token: VerifiedToken) {
    // It may have been begun under another configuration.
    guard token.policy === policy else { return }
    if verified.count >= Self.capacity { verified.removeAll() }
    verified[token.digest] = token
  }

  /// By what the request says, else by whose process the connection is. `isForwarded`: a proxy asks, and where its
  /// connection says who it is, the request's Authorization is for somebody else.
  func identify(_ request: Request, now: Instant, isForwarded: Bool = false) -> Identity {
    guard let callers else { return .anyone }
    let field = request.value(of: "authorization")
    if isForwarded || field == nil, let caller = callers.directory.caller(ofConnection: request) {
      return .caller(caller)
    }
    guard let field else { return .refused(.noToken(Self.lack(of: request))) }
    if request.isRepeated("authorization") {
      return .refused(Problem(.invalidRequest, "there are several Authorization fields"))
    }
    guard let token = Self.bearerToken(field, request) else { return identify(byBasic: field, request) }
    let digest = request.withBytes { SHA256Digest(of: $0.extracting(token)) }
    if let caller = callers.directory.caller(.key(digest)) { return .caller(caller) }
    if callers.serviceAccounts != nil {
      if let known = verified[digest], now < known.until { return .caller(known.caller) }
      let bytes = request.array(at: token)
      // A signed JWT has three segments.
      if bytes.count(where: { $0 == UInt8(ascii: ".") }) == 2 {
        return .unverifiedToken(UnverifiedToken(bytes: bytes, digest: digest))
      }
    }
    return .refused(.unknownToken())
  }

  /// What is missing where a request says nothing of who sends it.
  private static func lack(of request: Request) -> String {
    if request.certificate != nil { return "callers must prove who they are: no name of the certificate is a caller's" }
    if request.peer != nil { return "callers must prove who they are: the process's user and groups are no caller's" }
    return "callers must prove who they are"
  }

  private func identify(byBasic field: Range<Int>, _ request: Request) -> Identity {
    guard let credentials = try? ClientCredentials(authorization: request.text(at: field)) else {
      return .refused(.noToken("the Authorization field holds neither a bearer token nor a name and key by Basic"))
    }
    return caller(credentials).map { .caller($0) } ?? .refused(.unknownClient)
  }

  /// For an OAuth client: its id is a caller's name, its secret the caller's key. Without a secret, as anybody else.
  /// What the broker does not know of the request is sent on with credentials that are the tenant's to judge.
  func identify(_ asked: GrantRequest, _ request: Request, now: Instant) -> Identity {
    let credentials = asked.credentials
    if callers == nil, policy.passThrough == nil { return .anyone }
    guard let credentials, credentials.hasSecret else {
      let identity = identify(request, now: now)
      guard let id = credentials?.clientID else { return identity }
      switch identity {
      case .caller(let caller) where caller.name != id: return .refused(.otherName)
      case .unverifiedToken(var token):
        token.clientID = id
        return .unverifiedToken(token)
      default: return identity
      }
    }
    if let caller = caller(credentials) { return .caller(caller) }
    guard policy.passThrough != nil, !isOfCallers(credentials) else { return .refused(.unknownClient) }
    do throws(Problem) {
      let brought = PassThroughCredentials(credentials, try asked.passOn())
      return brought.map { .passThrough($0) } ?? .refused(.unknownClient)
    } catch {
      return .refused(error)
    }
  }

  /// The caller whose name and key they are.
  private func caller(_ credentials: ClientCredentials) -> Caller? {
    for reading in credentials.readings {
      if let caller = callerWithKey(reading.secret), caller.name == reading.clientID { return caller }
    }
    return nil
  }

  /// Neither a caller's key under another name nor a mistyped one is for the tenant to see.
  private func isOfCallers(_ credentials: ClientCredentials) -> Bool {
    credentials.readings.contains { callers?.byName[$0.clientID] != nil || callerWithKey($0.secret) != nil }
  }

  private func callerWithKey(_ key: Secret?) -> Caller? {
    key.flatMap { key in callers?.directory.caller(.key(key.withBytes { SHA256Digest(of: $0) })) }
  }

  /// RFC 6750 §2.1; the scheme's case does not matter (RFC 9110 §11.1).
  private static func bearerToken(_ field: Range<Int>, _ request: Request) -> Range<Int>? {
    let scheme: StaticString = "bearer "
    var start = field.lowerBound + scheme.utf8CodeUnitCount
    guard start < field.upperBound, request.matches(scheme, at: field.lowerBound..<start) else { return nil }
    while start < field.upperBound, request.equals(" ", at: start..<start + 1) { start += 1 }
    return start < field.upperBound ? start..<field.upperBound : nil
  }
}

extension CallerDirectory {
  /// By the names in its certificate, or by the user and groups of its Unix peer.
  fileprivate func caller(ofConnection request: Request) -> Caller? {
    request.certificateNames.flatMap { caller($0) } ?? request.peer.flatMap { caller(user: $0.user, groups: $0.groups) }
  }
}
