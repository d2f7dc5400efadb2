import Basics
import Testing

@Suite struct SingleFlightTests {
  /// Fetches a number that grows, when it is told to answer.
  private actor Source {
    private let flight = SingleFlight()
    private let answers = AsyncStream<Void>.makeStream()
    private(set) var fetches = 0
    private(set) var value: Int?

    var isUnderWay: Bool { flight.current != nil }

    func begin() -> Task<Void, Never> { flight.join(on: self) { await $0.fetch() } }

    func wait(until deadline: Instant) async -> Int? {
      await begin().wait(until: deadline)
      return value
    }

    private func fetch() async {
      fetches += 1
      for await _ in answers.stream { break }
      value = fetches
    }

    nonisolated func answer() { answers.continuation.yield() }
  }

  @Test("All who ask while a run is under way share it")
  func shared() async {
    let source = Source()
    let runs = await [source.begin(), source.begin(), source.begin()]
    source.answer()
    for run in runs { await run.value }
    #expect(await source.fetches == 1)
    #expect(await source.value == 1)
  }

  @Test("Whoever asks after the end of a run begins another")
  func another() async {
    let source = Source()
    source.answer()
    source.answer()
    await source.begin().value
    #expect(await !source.isUnderWay)
    await source.begin().value
    #expect(await source.value == 2)
  }

  @Test("A wait ends at its deadline, and the run goes on")
  func deadline() async {
    let source = Source()
    #expect(await source.wait(until: .now) == nil)
    #expect(await source.isUnderWay)
    source.answer()
    #expect(await source.wait(until: .distantFuture) == 1)
    #expect(await source.fetches == 1)
  }

  @Test("A wait for a run that has ended returns at once")
  func ended() async {
    await Task<Void, Never> {}.wait(until: .distantFuture)
  }
}
