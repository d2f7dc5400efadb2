import Basics

@testable import OAuth

extension Secret {
  /// What no other code may see.
  var text: String { withBytes { bytes in String(decoding: bytes.indices.map { bytes[$0] }, as: UTF8.self) } }
}
