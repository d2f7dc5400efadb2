import Basics
import Testing

@testable import Stores

@Suite struct RedisPlacesTests {
  private let places = RedisPlaces()
  private let nodes = (1...4).map { RedisTopology.Node.tcp(host: "h", port: UInt16($0)) }
  private let start = Instant(nanoseconds: 0)

  /// A cluster whose slots are shared among these nodes.
  private func topology(_ numbers: Int...) throws -> RedisTopology { try topology(of: numbers) }

  private func topology(of numbers: [Int]) throws -> RedisTopology {
    let ranges = numbers.enumerated().map { index, number in
      RedisReply.array([
        .integer(Int64(index * RedisSlot.count / numbers.count)),
        .integer(Int64((index + 1) * RedisSlot.count / numbers.count - 1)),
        .array([.string([0x68]), .integer(Int64(number))]),
      ])
    }
    return try #require(RedisTopology(.array(ranges), from: nodes[0]))
  }

  private func key(_ number: Int, at place: Int) -> String { "{\(number).\(place)}" }

  private func plan(_ number: Int, after time: Duration = .zero) -> RedisPlaces.Plan {
    places.plan(now: start.advanced(by: time)) { key(number, at: $0) }
  }

  /// The numbers of keys whose first place is at a node.
  private func numbers(at node: Int, in topology: RedisTopology, among count: Int = 100) -> [Int] {
    (0..<count).filter { topology.shard(of: RedisSlot.number(of: key($0, at: 1)))?.primary == nodes[node] }
  }

  @Test("While nothing is away everything is in its first place")
  func calm() throws {
    places.update(try topology(1, 2, 3), isOpen: { _ in true }, now: start)
    #expect((0..<100).allSatisfy { plan($0) == .init() })
  }

  @Test("While a primary is away its keys have a second place at another, and no others have")
  func away() throws {
    let topology = try topology(1, 2, 3)
    places.lost(nodes[1], in: topology)
    let lost = numbers(at: 1, in: topology)
    #expect(lost.count > 10)
    for number in 0..<100 {
      let plan = plan(number)
      #expect(plan.isAway == lost.contains(number))
      guard plan.isAway else { continue }
      #expect(plan.other == 1)
      #expect(topology.shard(of: RedisSlot.number(of: key(number, at: plan.present)))?.primary != nodes[1])
    }
    #expect(places.losses == 1)
  }

  @Test("Once another has taken its place the first place counts again, and the second is looked at for ten seconds")
  func aftermath() throws {
    let topology = try topology(1, 2, 3)
    places.lost(nodes[1], in: topology)
    let number = try #require(numbers(at: 1, in: topology).first)
    let second = plan(number).present
    #expect(try !places.update(self.topology(1, 4, 3), isOpen: { $0 != nodes[3] }, now: start))
    #expect(plan(number).isAway)
    #expect(try places.update(self.topology(1, 4, 3), isOpen: { _ in true }, now: start))
    #expect(try !places.update(self.topology(1, 4, 3), isOpen: { _ in true }, now: start))
    #expect(plan(number, after: .seconds(9)) == .init(present: 1, other: second))
    #expect(plan(number, after: .seconds(10)) == .init())
  }

  @Test("A primary that is lost again is away again, and one that is lost twice is lost once")
  func again() throws {
    let topology = try topology(1, 2, 3)
    let number = try #require(numbers(at: 1, in: topology).first)
    places.lost(nodes[1], in: topology)
    places.lost(nodes[1], in: topology)
    #expect(places.losses == 1)
    places.update(topology, isOpen: { _ in true }, now: start)
    #expect(!plan(number).isAway)
    places.lost(nodes[1], in: topology)
    #expect(plan(number).isAway)
    #expect(places.losses == 2)
  }

  @Test("While two primaries are away the second places are at the third, also after one of them is back")
  func two() throws {
    let topology = try topology(1, 2, 3)
    for node in nodes[..<2] { places.lost(node, in: topology) }
    let lost = numbers(at: 0, in: topology) + numbers(at: 1, in: topology)
    let before = lost.map { plan($0).present }
    for (number, place) in zip(lost, before) {
      #expect(topology.shard(of: RedisSlot.number(of: key(number, at: place)))?.primary == nodes[2])
    }
    places.update(topology, isOpen: { $0 == nodes[0] }, now: start)
    places.update(topology, isOpen: { _ in true }, now: start.advanced(by: .seconds(1)))
    // The one that was back first is as it was for the other, until both are forgotten.
    for (number, place) in zip(lost, before) where numbers(at: 0, in: topology).contains(number) {
      #expect(plan(number, after: .seconds(2)) == .init(present: 1, other: place))
    }
  }

  @Test("A primary that has no slots is no loss")
  func slotless() throws {
    places.lost(nodes[3], in: try topology(1, 2, 3))
    #expect(places.losses == 0)
  }

  @Test("Of very many primaries that are away those that were lost last are known")
  func most() throws {
    let topology = try topology(of: Array(1...128))
    let first = numbers(at: 0, in: topology, among: 1000)
    for port: UInt16 in 1...64 { places.lost(.tcp(host: "h", port: port), in: topology) }
    #expect(!first.isEmpty && first.allSatisfy { plan($0).isAway })
    places.lost(.tcp(host: "h", port: 65), in: topology)
    #expect(first.allSatisfy { plan($0) == .init() })
  }

  @Test("What becomes one server has but first places")
  func oneServer() throws {
    places.lost(nodes[1], in: try topology(1, 2, 3))
    places.update(nil, isOpen: { _ in true }, now: start)
    #expect((0..<100).allSatisfy { plan($0) == .init() })
  }
}
