import Basics
import OAuth
import Testing

@testable import BrokerCore

@Suite struct PassThroughPayerTests {
  private typealias Pair = PassThroughCredentials.Pair

  private let passThrough = PassThrough()
  private let plain = PassThroughCredentials(clientID: "a", secret: Secret("s".utf8))

  private func basic(_ clientID: String, decoded: String? = nil) -> PassThroughCredentials {
    PassThroughCredentials(
      asGiven: Pair(clientID: clientID, secret: Secret("s".utf8)),
      decoded: decoded.map { Pair(clientID: $0, secret: Secret("s".utf8)) },
      authorization: Secret("Basic \(clientID)".utf8), parameters: [])
  }

  @Test("What a tenant says to credentials in the one place says nothing of them in the other")
  func places() {
    #expect(passThrough.holder(of: plain) != passThrough.holder(of: basic("a")))
    passThrough.accepted(plain)
    #expect(passThrough.payer(basic("a"), source: "here") == .newcomer(clientID: "a", source: "here"))
  }

  @Test("However a client id is spelled, its guesses are paid for together")
  func spellings() {
    let spelled = basic("%61", decoded: "a")
    #expect(passThrough.payer(spelled, source: "here") == passThrough.payer(basic("a"), source: "here"))
    #expect(passThrough.holder(of: spelled) != passThrough.holder(of: basic("a")), "a tenant may read it as it stands")
  }
}
