import Basics
import Testing

@testable import OAuth

@Suite struct ClientSecretsTests {
  @Test("A client's status says which of its secrets the tenant has taken, and which is the previous one")
  func rotation() throws {
    let (old, new) = (Secret("old".utf8), Secret("new".utf8))
    let secrets = ClientSecrets([old])
    #expect(secrets.status.map(\.acceptedAt) == [nil] && secrets.status[0].since != nil)
    secrets.accepted(old)
    #expect(secrets.status[0].acceptedAt != nil)

    #expect(secrets.replace(with: [new]))
    #expect(secrets.status.map(\.fingerprint) == [new.fingerprint, old.fingerprint])
    #expect(secrets.status.map { $0.since == nil } == [false, true], "the second is the previous one")
    #expect(secrets.status.map { $0.acceptedAt == nil } == [true, false])
    secrets.accepted(new)
    #expect(secrets.status.map(\.fingerprint) == [new.fingerprint] && secrets.status[0].acceptedAt != nil)
  }

  @Test("While both of two secrets may be used, each says when the tenant last took it")
  func overlap() {
    let (old, new) = (Secret("old".utf8), Secret("new".utf8))
    let secrets = ClientSecrets([old])
    secrets.accepted(old)
    #expect(secrets.replace(with: [new, old]))
    secrets.accepted(new)
    #expect(secrets.status.allSatisfy { $0.acceptedAt != nil } && secrets.wasAccepted(new))
    secrets.accepted(old)
    #expect(secrets.wasAccepted(old) && !secrets.wasAccepted(new))
  }

  @Test("Secrets that succeed the same ones keep since when they are in use, and that they were taken")
  func sameSecrets() throws {
    let before = ClientSecrets([Secret("a".utf8)])
    before.accepted(Secret("a".utf8))
    let same = ClientSecrets([Secret("a".utf8)])
    same.succeed(before)
    let known = try #require(before.status.first)
    #expect(same.status.count == 1 && same.status[0].since == known.since)
    #expect(same.status[0].acceptedAt == known.acceptedAt)
  }

  @Test("Secrets that succeed others begin anew, and keep the one that was in use as the previous one")
  func otherSecrets() throws {
    let before = ClientSecrets([Secret("a".utf8)])
    before.accepted(Secret("a".utf8))
    let other = ClientSecrets([Secret("b".utf8)])
    other.succeed(before)
    #expect(other.status.count == 2 && other.status[0].since != before.status.first?.since)
    #expect(other.status[0].acceptedAt == nil)
  }
}
