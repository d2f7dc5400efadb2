import BrokerCore
import Testing

@Suite struct NearestAudienceTests {
  @Test(
    "What differs between an audience and the listed one that it was meant to be is named",
    arguments: [
      ("https://a.example.com", "https://a.example.com/", "has a slash at its end"),
      ("https://a.example.com/", "https://a.example.com", "has no slash at its end"),
      ("https://A.example.com/", "https://a.example.com/", "has other capitals"),
      ("http://a.example.com/", "https://a.example.com/", "begins with https://"),
      ("a.example.com", "https://a.example.com/", "begins with its scheme"),
      ("https%3A%2F%2Fa.example.com%2F", "https://a.example.com/", "is not percent-encoded"),
      ("https://a.exmaple.com/", "https://a.example.com/", "is spelt otherwise"),
    ])
  func difference(_ audience: String, _ name: String, _ difference: String) {
    let near = NearestAudience(to: audience, among: ["https://other.example.org/x", name, "urn:b"])
    #expect(near?.name == name && near?.difference == difference)
  }

  @Test("Nothing is named where nothing is near", arguments: ["urn:c:d:e", "", String(repeating: "a", count: 500)])
  func none(_ audience: String) {
    #expect(
      NearestAudience(to: audience, among: ["https://a.example.com/", String(repeating: "a", count: 501)]) == nil)
  }
}
