/// Makes fencing values: no two claims have the same, whoever makes them.
enum Fence {
  static func next() -> UInt64 { .random(in: 1...UInt64(Int64.max)) }
}
