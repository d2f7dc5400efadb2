/// How many letters must be put in, left out, changed, or swapped with their neighbour to make one word of another.
package enum EditDistance {
  package static func between(_ left: String, _ right: String) -> Int {
    let (a, b) = (Array(left.utf8), Array(right.utf8))
    var rows = [Array(0...b.count)]
    for i in 1...max(1, a.count) where i <= a.count {
      var row = [i]
      for j in 1...max(1, b.count) where j <= b.count {
        let isEqual = a[i - 1] == b[j - 1]
        var cost = min(rows[i - 1][j] + 1, row[j - 1] + 1, rows[i - 1][j - 1] + (isEqual ? 0 : 1))
        if i > 1, j > 1, a[i - 1] == b[j - 2], a[i - 2] == b[j - 1] { cost = min(cost, rows[i - 2][j - 2] + 1) }
        row.append(cost)
      }
      rows.append(row)
    }
    return rows[a.count][b.count]
  }

  /// The word that is nearest, and no further than `limit`; nil if there is none.
  package static func nearest(
    to word: String, among words: some Sequence<String>, within limit: (String) -> Int
  ) -> String? {
    let near = words.filter { abs($0.utf8.count - word.utf8.count) <= limit($0) }
      .map { (word: $0, distance: between(word, $0)) }.filter { $0.distance <= limit($0.word) }
    return near.min { ($0.distance, $0.word) < ($1.distance, $1.word) }?.word
  }
}
