import BrokerCore

extension SeededGenerator {
  mutating func pick<Value>(_ values: [Value]) -> Value {
    values[Int.random(in: 0..<values.count, using: &self)]
  }

  /// Some of the pieces, one behind the other.
  mutating func text<Piece>(of pieces: [Piece], upTo most: Int) -> String {
    (0..<Int.random(in: 0...most, using: &self)).map { _ in "\(pick(pieces))" }.joined()
  }
}
