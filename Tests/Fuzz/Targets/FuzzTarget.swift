/// Something that reads bytes from strangers, and the promises that it keeps whatever they are.
package struct FuzzTarget: Sendable {
  /// As its corpus is called.
  package let name: String
  /// Throws `BrokenPromise`. It does the same each time: nothing in it depends on the time or on chance.
  package let run: @Sendable ([UInt8]) async throws -> Void

  package static let all = [
    answer, chunked, configuration, form, hints, http1, http2, json, jwks, jwt, percent, query, redis, storefile,
    storerecord, trace, yaml,
  ]
}

struct BrokenPromise: Error, CustomStringConvertible {
  let description: String
}

/// Throws unless the promise is kept.
func promise(_ words: @autoclosure () -> String, _ isKept: Bool) throws(BrokenPromise) {
  if !isKept { throw BrokenPromise(description: words()) }
}
