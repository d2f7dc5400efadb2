import Basics

/// The audience of a list that was probably meant by one that is not in it, and how they differ, for operators. An
/// audience is compared byte for byte, and what differs is easily overlooked.
package struct NearestAudience: Equatable, Sendable {
  package let name: String
  /// What is said of `name`: that it "has a slash at its end" and the like.
  package let difference: String

  /// nil where none is near, so that it cannot be told which was meant.
  package init?(to audience: String, among names: some Collection<String>) {
    let others = names.lazy.filter { $0.utf8.count <= Self.longest && $0 != audience }.prefix(Self.most)
    guard audience.utf8.count <= Self.longest else { return nil }
    for name in others {
      guard let difference = Self.difference(of: name, from: audience) else { continue }
      (self.name, self.difference) = (name, difference)
      return
    }
    let near = EditDistance.nearest(to: audience, among: others) { max(2, $0.utf8.count / 10) }
    guard let near else { return nil }
    (name, difference) = (near, "is spelt otherwise")
  }

  /// Beyond that many audiences, and beyond that many bytes, nothing is compared: it takes time.
  private static let most = 1000
  private static let longest = 200

  /// nil for two that differ by more than one of the usual mistakes.
  private static func difference(of name: String, from audience: String) -> String? {
    if name == audience + "/" { return "has a slash at its end" }
    if name + "/" == audience { return "has no slash at its end" }
    if name.lowercased() == audience.lowercased() { return "has other capitals" }
    for (scheme, other) in [("https", "http"), ("http", "https")]
    where name.hasPrefix("\(scheme)://") && audience.hasPrefix("\(other)://") {
      if name.dropFirst(scheme.count) == audience.dropFirst(other.count) { return "begins with \(scheme)://" }
    }
    if !audience.contains("://"), name.hasSuffix("://\(audience)") || name.hasSuffix("://\(audience)/") {
      return "begins with its scheme"
    }
    if audience.contains("%"), audience.lowercased() == percentEncoded(name) { return "is not percent-encoded" }
    return nil
  }

  /// In lower case.
  private static func percentEncoded(_ text: String) -> String {
    text.replacing("%", with: "%25").replacing(":", with: "%3a").replacing("/", with: "%2f").lowercased()
  }
}
