/// What an HTTP/2 connection may make the server do, beside `Limits`: counts, and rates (so many at once, so many a
/// second).
enum HTTP2Limits {
  /// Requests at once on a connection. Those that were reset while their answer was being made count until it is.
  static let streams = 100
  /// RST_STREAM from the peer (CVE-2023-44487).
  static let resets = (burst: 100, rate: 20)
  /// What the peer makes the server reset, or refuse as invalid (CVE-2025-8671).
  static let faults = (burst: 50, rate: 5)
  /// PING, SETTINGS, PRIORITY, WINDOW_UPDATE, and DATA without data (CVE-2019-9511 to 9518). Frames of unknown types
  /// are skipped by libnghttp2 without a word, and cost no more than their bytes.
  static let controls = (burst: 1000, rate: 200)
  /// A header that decodes to this many times the limit ends the connection: decoding costs, though nothing is kept.
  static let headFactor = 4
  /// CONTINUATION frames of one header block (CVE-2024-27316).
  static let continuations = 4
  /// What a connection may hold of requests that are not whole yet, in bytes.
  static let heldBytes = 256 * 1024
}
