import Basics
import BrokerCore

/// Under which keys values and claims are: what is within the braces is a group's and a place's own, and decides in
/// which slot of a cluster they lie.
struct RedisKeys {
  let prefix: String

  /// `place` is one of `RedisPlaces`; there is but the first where there is no cluster.
  func value(_ name: StoreName, at place: Int = 1) -> String {
    let group = "\(prefix){\(Hex.text(name.group))\(place == 1 ? "" : ".\(place)")}"
    return name.group == name.bytes ? group : "\(group):\(Hex.text(name.bytes))"
  }

  func claim(_ name: StoreName, at place: Int = 1) -> String { value(name, at: place) + ":claim" }
}
