import Basics
import BrokerCore
import IO

/// Who can never be served, and what can never be asked for.
extension ConfigurationLint {
  private var callers: [Caller] { (configuration.callers?.byName.values ?? [:].values).sorted { $0.name < $1.name } }

  // MARK: Proofs

  /// What a way to prove itself needs, where that is not there.
  private struct Obstacle {
    /// The settings of a caller that need it.
    let keys: [String]
    let message: String
    let remedy: String
  }

  private var obstacles: [Obstacle] {
    var obstacles: [Obstacle] = []
    if !listeners.contains(where: \.isTLS) {
      obstacles.append(
        Obstacle(
          keys: ["clientCertificate"],
          message: "no certificate can be shown: no address of listen begins with https://",
          remedy: "Listen on an https:// address and set tls.clientCAFile."))
    } else if configuration.tls?.asksForCertificates == false {
      obstacles.append(
        Obstacle(
          keys: ["clientCertificate"], message: "no certificate is asked for: tls.clientCAFile is not set",
          remedy: "Set tls.clientCAFile to the authorities of callers' certificates."))
    }
    if !listeners.contains(where: \.address.isUnix) {
      obstacles.append(
        Obstacle(
          keys: ["unixUser", "unixGroup"], message: "no user is known: no address of listen is a unix: one",
          remedy: "Listen on unix:/path, unless systemd hands such a socket over."))
    }
    return obstacles
  }

  var proofsWithoutListener: [ConfigurationWarning] {
    let obstacles = obstacles
    let blocked = Set(obstacles.flatMap(\.keys))
    return callers.flatMap { caller in
      let keys = Callers.ways.filter { place("callers.\(caller.name).\($0)") != nil }
      let isLost = keys.allSatisfy(blocked.contains)
      return obstacles.flatMap { obstacle in
        obstacle.keys.filter(keys.contains).map { key in
          let subject = "callers.\(caller.name).\(key)"
          return ConfigurationWarning(
            subject: subject, source: place(subject),
            message: obstacle.message + (isLost ? "; the caller has no other proof, so it is never served" : ""),
            remedy: obstacle.remedy)
        }
      }
    }
  }

  // MARK: Audiences

  /// What a caller is given, and `audiences` does not list.
  var audiencesNotServed: [ConfigurationWarning] {
    if configuration.audiences.isOpen { return [] }
    let names = configuration.audiences.names
    return callers.flatMap { caller in
      let keys = ["audiences", "defaultAudience"].map { "callers.\(caller.name).\($0)" }
      return configuration.effective.filter { keys.contains($0.key) && !Self.matches($0.value, names) }
        .map { notServed($0, names) }
    }
  }

  private static func matches(_ pattern: String, _ names: [String]) -> Bool {
    var set = AudienceSet()
    return set.insert(pattern: pattern) && names.contains { set.contains(Array($0.utf8)) }
  }

  private func notServed(_ setting: EffectiveSetting, _ names: [String]) -> ConfigurationWarning {
    let (pattern, isPrefix) = (setting.value, setting.value.hasSuffix("*"))
    var remedy = "List it in audiences, or take it out here."
    if !isPrefix, let near = NearestAudience(to: pattern, among: names) {
      remedy = "Did you mean '\(near.name)', which \(near.difference)? Else list it in audiences, or take it out here."
    }
    let reason = isPrefix ? "audiences lists nothing that begins so" : "audiences does not list it"
    return ConfigurationWarning(
      subject: setting.key, source: setting.source, message: "'\(pattern)' is never given to anybody: \(reason)",
      remedy: remedy)
  }

  /// What `audiences` lists, and no caller is given.
  var audiencesForNobody: [ConfigurationWarning] {
    guard let callers = configuration.callers, !configuration.clients.values.contains(where: \.isPassThrough) else {
      return []
    }
    return configuration.effective.filter { $0.isListedAudience }.compactMap { setting in
      let audience = Array(setting.value.utf8)
      if callers.byName.values.contains(where: { $0.audiences.contains(audience) }) { return nil }
      return ConfigurationWarning(
        subject: setting.key, source: setting.source, message: "no caller may have '\(setting.value)'",
        remedy: "Give it to a caller, in callers.NAME.audiences, or take it out here.")
    }
  }
}

extension EffectiveSetting {
  /// The name of an audience in `audiences`, as a word or under its key.
  fileprivate var isListedAudience: Bool {
    key == "audiences" || key.wholeMatch(of: /audiences\[\d+\](\.audience)?/) != nil
  }
}
