/// Makes fencing values: no two claims have the same one, on whatever machine they are made.
enum Fence {
  static func next() -> UInt64 { .random(in: 1...UInt64(Int64.max)) }
}
