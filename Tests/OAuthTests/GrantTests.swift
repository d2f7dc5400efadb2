import Testing

@testable import OAuth

@Suite struct GrantTests {
  @Test(
    "Grants are equal if their bytes are, and not if only their texts are",
    arguments: [
      (Grant(audience: "https://a/"), Grant(audience: "https://a/"), true),
      (Grant(audience: "https://a/"), Grant(audience: "https://a"), false),
      (Grant(audience: "https://caf\u{E9}/"), Grant(audience: "https://cafe\u{301}/"), false),
      (Grant(audience: "a", scope: "x"), Grant(audience: "a", scope: "x"), true),
      (Grant(audience: "a", scope: "x"), Grant(audience: "a"), false),
      (Grant(audience: "a", scope: "x"), Grant(audience: "a", organization: "x"), false),
      (Grant(audience: "a", organization: "\u{E9}"), Grant(audience: "a", organization: "e\u{301}"), false),
    ])
  func equality(_ left: Grant, _ right: Grant, _ expected: Bool) {
    #expect((left == right) == expected)
    #expect(Set([left, right]).count == (expected ? 1 : 2))
  }
}
