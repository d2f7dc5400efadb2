import Testing

@testable import HTTPClient

@Suite struct CurlLibraryTests {
  @Test("The libcurl that is loaded will do, and tells its version, OpenSSL's and nghttp2's")
  func loaded() throws {
    try CurlLibrary.requireOpenSSL()
    #expect(CurlLibrary.versions.wholeMatch(of: /libcurl\/\S+ OpenSSL\/3\S* nghttp2\/1\S+/) != nil)
  }

  @Test(
    "A libcurl whose TLS is not the broker's own OpenSSL is refused with what it has and what is needed",
    arguments: [
      ("OpenSSL/3.0.19", true), ("quictls/3.0.19", true), ("(GnuTLS/3.7.9) OpenSSL/3.0.19", true),
      ("GnuTLS/3.7.9", false), ("GnuTLS/3.7.9 (OpenSSL/3.0.19)", false), ("OpenSSL/3.5.1", false), ("BoringSSL", false),
      ("none", false),
    ])
  func tls(_ tls: String, _ isFit: Bool) {
    let problem = CurlLibrary.problem(with: tls, needed: "3.0.19")
    #expect((problem == nil) == isFit)
    if let problem { #expect(problem.contains(tls) && problem.contains("OpenSSL/3.0.19")) }
  }
}
