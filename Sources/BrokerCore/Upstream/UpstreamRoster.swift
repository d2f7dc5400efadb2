import OAuth

/// Which clients there are, each with the source of its tokens; and which sources go on when the configuration changes.
/// A value, so that any history of configurations can be played through it.
package struct UpstreamRoster<Source> {
  struct Member {
    let spec: UpstreamSpec
    /// The audiences whose tokens are not checked, or were not at some time of this generation.
    let unverified: Set<[UInt8]>
    let id: UpstreamID
    let source: Source

    /// What the cache knows it as: with its pass-through, if it has that.
    var ids: [UpstreamID] { spec.isPassThrough ? [id, id.passThrough] : [id] }
  }

  private(set) var audiences = AudienceCatalog(listed: [:], other: nil)
  /// The present ones, by their names.
  private(set) var members: [String: Member] = [:]
  /// The sources of the present ones, and of those that the last configuration has retired, for what is under way.
  private var sources: [UpstreamID: Source] = [:]
  private var generations: [String: Int] = [:]

  package init() {}

  package subscript(_ client: UpstreamID) -> Source? { sources[client] }

  /// Takes over the clients of a configuration. A client that is the same as before keeps its source and is only given
  /// its secrets, which are replaced where they are others; `make` makes the source of any other, and is told which one
  /// has asked the same server as the same client before.
  package mutating func replace<Failure>(
    with specs: [UpstreamSpec], audiences: AudienceCatalog, make: (UpstreamSpec, Source?) throws(Failure) -> Source
  ) throws(Failure) -> UpstreamChange {
    var next = UpstreamRoster()
    next.audiences = audiences
    next.generations = generations
    for spec in specs {
      // The client that there was, if it got the same tokens. One that was not checked must not pass for one that was;
      // the other way round does no harm.
      var old = members[spec.name]
      if let former = old,
        former.spec.client.identity != spec.client.identity
          || former.unverified.contains(where: { audiences.verifies($0, by: spec.name) })
      {
        next.generations[spec.name, default: 0] += 1
        old = nil
      }
      let unverified = (old?.unverified ?? []).union(audiences.unverified(of: spec.name))
      let id = UpstreamID(spec.name, generation: next.generations[spec.name] ?? 0)
      if let old, spec.canTakeOver(old.spec) {
        var kept = old.spec
        (kept.secretFile, kept.sealing) = (spec.secretFile, spec.sealing)
        next.members[spec.name] = Member(spec: kept, unverified: unverified, id: id, source: old.source)
      } else {
        if let secrets = old?.spec.client.secrets { spec.client.secrets?.succeed(secrets) }
        let source = try make(spec, predecessor(of: spec))
        next.members[spec.name] = Member(spec: spec, unverified: unverified, id: id, source: source)
      }
    }
    // Nothing can be refused any more.
    for spec in specs {
      guard let secrets = spec.client.secrets, let used = next.members[spec.name]?.spec.client.secrets else { continue }
      if used !== secrets { _ = used.replace(with: secrets.candidates) }
    }
    for name in members.keys where next.members[name] == nil { next.generations[name, default: 0] += 1 }
    for member in next.members.values {
      for id in member.ids { next.sources[id] = member.source }
    }
    let present = Set(next.sources.keys)
    let retired = Set(members.values.flatMap(\.ids)).subtracting(present)
    for id in retired { next.sources[id] = sources[id] }
    self = next
    var current = audiences
    current.generations = generations
    return UpstreamChange(
      audiences: current,
      passThrough: members.values.first(where: \.spec.isPassThrough)?.id.passThrough, retired: retired)
  }
}

extension UpstreamRoster {
  /// By the same name rather than by another.
  private func predecessor(of spec: UpstreamSpec) -> Source? {
    let candidates = (members[spec.name].map { [$0] } ?? []) + members.values
    return candidates.first { $0.spec.client.isSameClient(as: spec.client) }?.source
  }
}

/// What a configuration has made of the clients.
package struct UpstreamChange: Sendable {
  /// With the present clients in it.
  package let audiences: AudienceCatalog
  package let passThrough: UpstreamID?
  /// Those that are no longer there.
  package let retired: Set<UpstreamID>
}
