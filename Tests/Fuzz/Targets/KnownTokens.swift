@testable import OAuth

/// Tokens of keys that nobody has any more, with the public halves.
enum KnownTokens {
  static let rs256 = AccessToken(
    "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6ImsxIn0.eyJpc3MiOiJodHRwczovL3QvIiwiYXVkIjoiYSIsImV4cCI6NDEwMjQ0NDgw"
      + "MH0.m3eCrPSsw1cvjcz71xUHByXogsQJwHUrugSJ3c3qwbXeaLPpuSWbgCe6jSLBWsNd_YnByBjcB5IzbbZ9ookLbkVDlsauqXF6-r8AqqAS_h"
      + "yucuJbk3zhyuocgTA8yuy2VUVzRC6lS96ZO3JpjPfhni6qa9KCKGT_-fljh10OvqjBMovj8-fIHVLXfoDkqqzc6dVZU7CeHRzTpj-JU77t90QX"
      + "55ssQm68ap99VlWLnc3epJf8B1Q_46kejtwPg767lE9fxDWAHavc5Tyub0yluBrhgifppTNpb7FcscgM1F8sOe_HOF0D4_JNq_-H1xE6mi0gXO"
      + "8-C3dtimmSvyW5sg")
  static let modulus =
    "qi8GoYwnIfUlt2XveMS29Fu6SSMHkZIiz8vlpr9Fi6iePF7c4WFNt2wTVuN9gFeqQUkjcOnzb7SGoyduF0qHVgYMtR_UcwaTP-OMteV2XaYDsFNxT_"
    + "sEwOKTaVhbBYZqKxvZDGB5vBHGxdhcGqfc7sfZBXftTJQzahzDsxw3vUCUjRqq0vl_wJFmCAjvAbV5l2tZow7xsB2ic4rYe950626ChuD4ubdiqI"
    + "uk5c_RUA7fO-iasRFHWB5z5IdoaiQ1aQ3ubswkqZzKyDj_smpdFxseBkK-pDg5ZuShd314WqTQEddA8X0Vbdv_v_uegQhIx_WgE2w_IZ8NYkZ_7D"
    + "UbrQ"

  static let es256 = AccessToken(
    "eyJhbGciOiJFUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6ImsyIn0.eyJpc3MiOiJodHRwczovL3QvIiwiYXVkIjoiYSIsImV4cCI6NDEwMjQ0NDgw"
      + "MH0.aCytsIFRaf_NowQeNSv0x6mcXMZQAS-jgANip7P_G1OmQEan-e-ySbbR05kogfN5LlzH9qEkfVvntgUIfbD8yw")
  static let x = "xoiXm0OVzUHaZisPm8NjMuO674hOW6VJUVc3YCOK7S4"
  static let y = "7Mg1T4QTkNVQYAHEQY6PIg3IYhNDPXCqZ8rlcNlnGEs"

  /// Both keys, as a tenant publishes them.
  static let keySet = Array(
    """
    {"keys":[{"kty":"RSA","use":"sig","alg":"RS256","kid":"k1","n":"\(modulus)","e":"AQAB"},
    {"kty":"EC","crv":"P-256","kid":"k2","x":"\(x)","y":"\(y)"}]}
    """.utf8)

  static let validator = TokenValidator(issuer: "https://t/")

  /// Whether a key of the set has signed the token.
  static func accepts(_ token: AccessToken, by keys: KeySet) throws -> Bool {
    let jwt = try JWT(token)
    let candidates = keys.candidates(kid: jwt.keyID, algorithm: jwt.algorithm)
    return (try? validator.claims(of: jwt, audience: "a", candidates: candidates, now: 1)) != nil
  }
}
