package import Basics

/// A file with a JWT by which a client proves itself, made and replaced by somebody else (RFC 7523 §2.2): a service
/// account's token that Kubernetes projects, a SPIFFE JWT-SVID. It is read each time that it is needed.
package struct AssertionFile: Sendable {
  /// Why the file cannot be read.
  package struct Unreadable: Error {
    let reason: String

    package init(reason: String) {
      self.reason = reason
    }
  }

  /// The last part of the `client_assertion_type` that the server knows such assertions by.
  package enum Kind: String, Sendable, CaseIterable {
    /// RFC 7523 §2.2.
    case bearer = "jwt-bearer"
    /// draft-ietf-oauth-spiffe-client-auth, which Keycloak takes SPIFFE JWT-SVIDs by.
    case spiffe = "jwt-spiffe"
  }

  package let path: String
  package let kind: Kind
  private let contents: @Sendable () throws(Unreadable) -> Secret

  /// `contents` reads the file, and bounds its size.
  package init(
    path: String, kind: Kind = .bearer, contents: @escaping @Sendable () throws(Unreadable) -> Secret
  ) {
    self.path = path
    self.kind = kind
    self.contents = contents
  }

  /// What the file holds now, if that is a JWT whose time is not over. Throws `brokerMisconfigured`.
  func read(now: Double = WallClock.now) throws(TokenError) -> Secret {
    let (assertion, expiresAt) = try load()
    if let problem = Self.problem(with: expiresAt, now: now) { throw Self.unusable(problem) }
    return assertion
  }

  /// nil for a time that is not over.
  private static func problem(with expiresAt: Double?, now: Double) -> String? {
    expiresAt.flatMap { end in
      end <= now ? "holds an assertion that expired \(Int(now - end)) s ago, and was not replaced" : nil
    }
  }

  /// The end of the year 9999: whoever wrote the file may have written anything.
  private static let latestEnd = 253_402_300_799.0

  private func load() throws(TokenError) -> (assertion: Secret, expiresAt: Double?) {
    let found: Secret
    do throws(Unreadable) {
      found = try contents()
    } catch {
      throw Self.unusable("cannot be read: \(error.reason)")
    }
    let assertion = Self.trimmed(found)
    if assertion.isEmpty { throw Self.unusable("is empty") }
    do {
      return (assertion, try Self.expiry(of: assertion).map { min(max(0, $0), Self.latestEnd) })
    } catch {
      throw Self.unusable("holds no JWT")
    }
  }

  private static func unusable(_ problem: String) -> TokenError {
    TokenError(cause: .brokerMisconfigured, message: "the file of the client's assertion \(problem)")
  }

  /// Without white space around it.
  private static func trimmed(_ secret: Secret) -> Secret {
    secret.withBytes { bytes in
      let start = bytes.indices.first { bytes[$0] > 0x20 } ?? bytes.count
      let end = bytes.indices.last { bytes[$0] > 0x20 }.map { $0 + 1 } ?? start
      return Secret(capacity: end - start) { writer in
        for index in start..<end { writer.append(bytes[index]) }
      }
    }
  }

  /// `exp`, in Unix time in seconds, of what stands in it, unverified: whom it is for checks it. Throws for what is no
  /// JWT. The signature, without which it proves nothing, is not copied.
  private static func expiry(of assertion: Secret) throws -> Double? {
    let parts: [[UInt8]]? = assertion.withBytes { bytes in
      let dots = bytes.indices.filter { bytes[$0] == UInt8(ascii: ".") }
      guard dots.count == 2, dots[1] + 1 < bytes.count else { return nil }
      return [0..<dots[0], dots[0] + 1..<dots[1]].map { range in range.map { bytes[$0] } }
    }
    let objects = try (parts ?? []).map { try JSONObject(Base64URL.decode($0[...]) ?? []) }
    guard objects.count == 2, try objects[0].text("alg") != nil else { throw JSONObject.WrongType() }
    return try objects[1].number("exp")
  }
}

/// The assertion that a client's file holds, for those who look after it.
package struct AssertionStatus: Sendable {
  package let file: String
  /// Unix time in seconds; nil if it does not say.
  package let expiresAt: Double?
  /// Why it cannot be used.
  package let problem: String?

  package init(file: String, expiresAt: Double? = nil, problem: String? = nil) {
    self.file = file
    self.expiresAt = expiresAt
    self.problem = problem
  }
}

extension AssertionFile {
  package func status(now: Double) -> AssertionStatus {
    do throws(TokenError) {
      let expiresAt = try load().expiresAt
      let problem = Self.problem(with: expiresAt, now: now).map { Self.unusable($0).message }
      return AssertionStatus(file: path, expiresAt: expiresAt, problem: problem)
    } catch {
      return AssertionStatus(file: path, problem: error.message)
    }
  }
}
