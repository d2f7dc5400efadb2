import OAuth
import Testing

@Suite struct AudienceTests {
  @Test(
    "A URL with one slash where there are two is told from other audiences",
    arguments: [
      ("https:/api.example.com/", true), ("HTTP:/a", true), ("a+b.c-1:/x", true), ("https:/:/", true),
      ("https://api.example.com/", false), ("https:///a", false), ("https:/", false), ("https:", false), ("", false),
      ("urn:example:api", false), ("urn:example:/api", false), ("/https:/api", false), ("api/https:/x", false),
      ("1a:/x", false), (":/x", false), ("äb:/x", false), ("api", false),
    ])
  func mergedSlashes(_ audience: String, _ expected: Bool) {
    #expect(Audience.hasMergedSlashes(audience) == expected)
  }
}
