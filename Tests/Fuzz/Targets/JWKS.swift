import CryptoExtras

@testable import OAuth

extension FuzzTarget {
  /// A tenant's key set.
  static let jwks = FuzzTarget(name: "jwks") { bytes in
    guard let keys = try? KeySet(json: bytes) else { return }
    let text = String(decoding: bytes, as: UTF8.self)
    try promise("names are of keys", keys.ids.map { !$0.isEmpty && !keys.isEmpty } ?? true)
    for algorithm in SignatureAlgorithm.allCases {
      let all = keys.candidates(kid: nil, algorithm: algorithm)
      for key in all {
        try promise("a key is of the kind for \(algorithm)", key.key.algorithms.contains(algorithm))
        try promise("a key is for \(algorithm)", key.algorithm == nil || key.algorithm == algorithm)
        if case .rsa(let key) = key.key { try promise("a key is long enough", key.keySizeInBits >= 2048) }
      }
      for id in keys.ids ?? [] {
        let named = keys.candidates(kid: id, algorithm: algorithm)
        try promise("a key has its name", named.allSatisfy { $0.id == id })
        try promise("names choose among all", named.count <= all.count)
      }
      try promise("an unknown name finds none", keys.candidates(kid: "\(text)x", algorithm: algorithm).isEmpty)
    }
    // Base64 can be written in more than one way at its end only.
    if try KnownTokens.accepts(KnownTokens.rs256, by: keys) {
      try promise("who has signed is there: RSA", text.contains(KnownTokens.modulus.dropLast(2)))
    }
    if try KnownTokens.accepts(KnownTokens.es256, by: keys) {
      let isThere = text.contains(KnownTokens.x.dropLast(1)) && text.contains(KnownTokens.y.dropLast(1))
      try promise("who has signed is there: EC", isThere)
    }
  }
}
