package import Basics

extension Secret {
  /// What no other code may see.
  package var text: String { withBytes { bytes in String(decoding: bytes.indices.map { bytes[$0] }, as: UTF8.self) } }
}
