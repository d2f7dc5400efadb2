import DevTenant
import Testing

extension Fault {
  /// All faults but those that take their time, each group for a broker of its own: after some faults, a broker asks
  /// for nothing for a while.
  static let groups: [[Fault]] = {
    let closing: [Fault] = [
      .badCredentials, .invalidClient, .rateLimited, .rateLimitedSeconds, .rateLimitedDate, .quotaExceeded,
      .globalLimit, .globalLimitAs500,
    ]
    let others = allCases.filter { !(closing + [.stall, .slow, .unpublishedKey]).contains($0) }
    // While the key set has not been read, no time must pass before it is read for an unknown key.
    return [[.unpublishedKey] + others] + closing.map { [$0] }
  }()

  /// Whether the client of such a fault is to ask for nothing for a while.
  var isClosing: Bool { Self.groups.contains([self]) }
}

extension BrokerProcess {
  /// Shows it these faults, and returns what it answered; with a good answer of the tenant behind each that might be an
  /// outage, because after three in a row it would count as out of reach.
  func provoke(_ faults: [Fault], _ arguments: [String] = []) async throws -> [(fault: Fault, answer: Answer)] {
    var answers: [(Fault, Answer)] = []
    for fault in faults {
      let answer = try await Answer.curl(["\(url)/token/\(fault.audience)"] + arguments)
      answers.append((fault, answer))
      if answer.error == "upstream_unavailable" || answer.error == "invalid_upstream_response" {
        let path = "\(url)/token/\(Fault.rfc9068.audience)?organization=\(fault.rawValue)"
        #expect(try await Answer.curl([path] + arguments).token != nil)
      }
    }
    return answers
  }
}
