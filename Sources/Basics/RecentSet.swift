/// A set that forgets what was put into it longest ago. It has two generations: once the newer is full, the older is
/// forgotten as a whole.
package struct RecentSet<Element: Hashable & Sendable>: Sendable {
  private let capacity: Int
  private var recent: Set<Element> = []
  private var older: Set<Element> = []

  /// The last `capacity` elements that were put into it are in it, and twice as many at the most.
  package init(capacity: Int) { self.capacity = capacity }

  package func contains(_ element: Element) -> Bool { recent.contains(element) || older.contains(element) }

  /// One that is put in again counts as new.
  package mutating func insert(_ element: Element) {
    if recent.count >= capacity, !recent.contains(element) { (recent, older) = ([], recent) }
    recent.insert(element)
  }
}
