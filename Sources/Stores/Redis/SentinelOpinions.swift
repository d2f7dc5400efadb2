import Basics

/// Where the Sentinels say that the primary is, and which of them is believed: the one that knows of the latest switch.
/// Each switch has a number, the configuration's epoch, which is greater than that of the one before. One that was made
/// anew counts from zero again, and so may one that has missed a switch: they are believed once most agree.
struct SentinelOpinions {
  private struct Opinion {
    let primary: RedisSettings.Server
    let epoch: Int
    let since: Instant
  }

  private var opinions: [Int: Opinion] = [:]
  /// The primary; nil until a Sentinel has named one. The last one that was named where none is named any more.
  private(set) var primary: RedisSettings.Server?
  /// The switch that made it the primary.
  private var epoch = 0
  /// How many Sentinels are more than half of them.
  private let majority: Int

  /// How long a Sentinel's word counts when it is not repeated. Those that run tell each other of a switch within two
  /// seconds.
  private static let lifetime = Duration.seconds(10)

  init(of count: Int) { majority = count / 2 + 1 }

  /// Notes what a Sentinel has answered.
  mutating func note(_ primary: RedisSettings.Server, epoch: Int, by sentinel: Int, at now: Instant) {
    drop(before: now)
    // It may have been answered before a switch that was told since.
    if let last = opinions[sentinel], last.epoch > epoch { return }
    opinions[sentinel] = Opinion(primary: primary, epoch: epoch, since: now)
    choose()
  }

  /// Notes that a Sentinel has told of a switch, which is then one more than it knew of before.
  mutating func noteSwitch(
    from old: RedisSettings.Server, to new: RedisSettings.Server, by sentinel: Int, at now: Instant
  ) {
    drop(before: now)
    guard let known = opinions[sentinel] ?? (primary == old ? newest : nil), known.primary != new else { return }
    opinions[sentinel] = Opinion(primary: new, epoch: known.epoch + 1, since: now)
    choose()
  }

  private var newest: Opinion? { opinions.values.max { $0.epoch < $1.epoch } }

  private mutating func drop(before now: Instant) {
    opinions = opinions.filter { $0.value.since.duration(to: now) < Self.lifetime }
  }

  private mutating func choose() {
    guard let newest else { return }
    if newest.epoch < epoch, opinions.values.count(where: { $0.primary == newest.primary }) < majority { return }
    epoch = newest.epoch
    if opinions.values.contains(where: { $0.epoch == epoch && $0.primary == primary }) { return }
    primary = newest.primary
  }
}
