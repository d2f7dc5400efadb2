import BrokerCore
import Testing

@testable import Stores

@Suite struct StoreRefusalsTests {
  @Test("A trial clears what was refused before it began, and nothing that was refused since")
  func order() {
    var refusals = StoreRefusals()
    let news = [refusals.add(.claim, "a"), refusals.add(.save, "a"), refusals.add(.claim, "b")]
    #expect(news == [true, true, false] && refusals.reasons == [.claim: "b", .save: "a"])
    let start = refusals.count
    _ = refusals.add(.save, "c")
    let cleared = [.claim, .save, .claim].map { refusals.passed($0, since: start) }
    #expect(cleared == [true, false, false] && refusals.reasons == [.save: "c"])
    let isCleared = refusals.passed(.save, since: refusals.count)
    #expect(isCleared && refusals.reasons.isEmpty)
  }

  @Test("A condition names what is refused for the same reason together")
  func sentence() {
    var condition = StoreCondition(location: "", problem: nil, refusals: [.save: "no", .listen: "deaf", .claim: "no"])
    #expect(condition.refusal == "claim, save: no; listen: deaf")
    #expect(condition.can(.load) && !condition.can(.listen))
    condition.problem = "away"
    #expect(!condition.can(.load))
    condition.refusals = [:]
    #expect(condition.refusal == nil)
  }
}
