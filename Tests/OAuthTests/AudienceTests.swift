import OAuth
import Testing

@Suite struct AudienceTests {
  @Test(
    "An audience with a control character is refused, and one with any other is not",
    arguments: [
      ("a\u{0}", false), ("\u{1F}a", false), ("a\u{7F}b", false), ("\u{80}", false), ("a\u{9F}", false),
      ("a b", true), ("~", true), ("\u{A0}", true), ("\u{AD}", true), ("\u{200B}", true), ("caf\u{E9}", true),
    ])
  func control(_ audience: String, _ isSound: Bool) {
    #expect((Audience.problem(with: audience) == nil) == isSound)
  }

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
