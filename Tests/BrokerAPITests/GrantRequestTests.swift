import Basics
import OAuth
import Testing

@testable import BrokerAPI
@testable import HTTPServer

/// What a request to the token endpoint asks for, by its body and its URL.
@Suite struct GrantRequestTests {
  private func read(
    _ body: String, _ type: String = "application/x-www-form-urlencoded", audience: String? = nil,
    query: [String: String] = [:], authorization: String? = nil
  ) -> Result<GrantRequest, Problem> {
    var url = URLParameters()
    (url.audience, url.members) = (audience, query)
    return Result { () throws(Problem) in
      try GrantRequest(
        url: url, contentType: type, authorization: authorization,
        body: Array((type.hasSuffix("json") ? body : "grant_type=client_credentials&" + body).utf8))
    }
  }

  private func error(_ result: Result<some Any, Problem>) -> APIError? {
    if case .failure(let problem) = result { problem.error } else { nil }
  }

  @Test(
    "The audience comes from the body or the URL, by any of its names, and two that differ are a wrong request",
    arguments: [
      ("audience=a", nil, [:], "a", nil), ("resource=a", nil, [:], "a", nil),
      ("audience=a&resource=a", "a", ["audience": "a", "resource": "a"], "a", nil),
      ("", "a", [:], "a", nil), ("", nil, ["audience": "a"], "a", nil), ("", nil, ["resource": "a"], "a", nil),
      ("", nil, [:], nil, nil), ("audience=", nil, [:], nil, nil),
      ("resource=a&resource=a&resource=a", nil, [:], "a", nil),
      ("resource=a&resource=b", nil, [:], nil, .invalidRequest),
      ("audience=a&audience=a", nil, [:], nil, .invalidRequest),
      ("audience=a&resource=b", nil, [:], nil, .invalidRequest), ("audience=a", "b", [:], nil, .invalidRequest),
      ("audience=a", nil, ["audience": "b"], nil, .invalidRequest), ("", "a", ["resource": "b"], nil, .invalidRequest),
      ("audience=a", "a/", [:], nil, .invalidRequest), ("audience=a%00", nil, [:], nil, .invalidTarget),
    ] as [(String, String?, [String: String], String?, APIError?)])
  func audience(_ body: String, _ path: String?, _ query: [String: String], _ expected: String?, _ error: APIError?) {
    let asked = read(body, audience: path, query: query)
    #expect(self.error(asked) == error)
    #expect((try? asked.get())?.query.audience == expected)
  }

  @Test("Scope and organization may stand in the URL, and must not be others in the body")
  func beside() throws {
    let asked = try read("audience=a", query: ["scope": "b a", "organization": "o"]).get()
    #expect(asked.query.scope == "a b" && asked.query.organization == "o")
    #expect(error(read("audience=a&scope=c", query: ["scope": "b"])) == .invalidRequest)
    #expect(error(read("audience=a&organization=p", query: ["organization": "o"])) == .invalidRequest)
  }

  @Test(
    "Members that are not known are refused by their names, but for those that mean nothing",
    arguments: [
      ("tenant_hint=x", "tenant_hint"), ("tenant_hint=x&min_ttl=7", "min_ttl, tenant_hint"), ("tenant_hint=", nil),
      ("tenant_hint", nil), ("client_info=1", nil), ("caf%C3%A9=1", "caf?"), ("=x", ""),
    ] as [(String, String?)])
  func unknown(_ members: String, _ names: String?) throws {
    let asked = try read("audience=a&" + members).get()
    let problem = Result { () throws(Problem) in try asked.refuseOthers() }
    #expect(error(problem) == (names == nil ? nil : .invalidRequest))
    guard case .failure(let problem) = problem else { return }
    #expect(problem.description.hasPrefix("unknown members: \(names ?? ""); those known are "))
  }

  @Test("Members of a JSON object are text, only resource is a list, and null is left out")
  func json() throws {
    func members(_ more: String) -> Result<GrantRequest, Problem> {
      read(#"{"grant_type":"client_credentials",\#(more)}"#, "application/json")
    }
    #expect(try members(#""resource":["a","a"]"#).get().query.audience == "a")
    #expect(error(members(#""resource":["a","b"]"#)) == .invalidRequest)
    #expect(error(members(#""audience":["a"]"#)) == .invalidRequest)
    #expect(error(members(#""audience":"a","tenant_hint":1"#)) == .invalidRequest)
    #expect(try members(#""audience":"a","tenant_hint":null"#).get().others.isEmpty)
    #expect(try members(#""audience":"a","z":"1","b":"2""#).get().others.map(\.name) == ["b", "z"])
  }

  @Test("More members than anybody has use for are refused before they are looked at")
  func tooMany() {
    func form(_ count: Int) -> String { (0..<count).map { "&m\($0)=1" }.joined() }
    #expect(error(read("audience=a" + form(30))) == nil, "with grant_type they are 32")
    #expect(error(read("audience=a" + form(31))) == .invalidRequest)
    func members(_ count: Int) -> String { (0..<count).map { #","m\#($0)":"1""# }.joined() }
    let object = #"{"grant_type":"client_credentials","audience":"a""#
    #expect(error(read(object + members(30) + "}", "application/json")) == nil)
    #expect(error(read(object + members(31) + "}", "application/json")) == .invalidRequest)
  }

  @Test("What goes on to the tenant is bounded, for it is kept")
  func passedOn() throws {
    func asked(_ bytes: Int) throws -> GrantRequest {
      try read("audience=a&m=" + String(repeating: "x", count: bytes - 1)).get()
    }
    #expect(try asked(4096).passOn().map(\.name) == ["m"])
    #expect(throws: Problem.self) { try asked(4097).passOn() }
  }

  @Test("An assertion in place of a secret is said to be unsupported", arguments: ["", "_type"])
  func assertion(_ end: String) {
    let asked = read("audience=a&client_assertion\(end)=x")
    #expect(error(asked) == .invalidCaller)
    guard case .failure(let problem) = asked else { return }
    #expect(problem.description.contains("client_assertion is not supported"))
  }

  @Test(
    "A pair by Basic is read form-decoded first, then as it is, where that differs",
    arguments: [
      ("YTpi", ["a:b"]), ("YSUyQjpiKys=", ["a+:b  ", "a%2B:b++"]),
      ("YStiOnBsPWEvaW49PQ==", ["a b:pl=a/in==", "a+b:pl=a/in=="]),
      ("dmVuZG9yOmElYg==", ["vendor:a%b"]), ("YTpiOmM=", ["a:b:c"]), ("YTo=", ["a:"]), ("YTr/", ["a:\u{FFFD}"]),
    ])
  func basic(_ base64: String, _ readings: [String]) throws {
    let credentials = try #require(try ClientCredentials(authorization: "bAsIc  \(base64)"))
    let texts = credentials.readings.map { pair in
      "\(pair.clientID):\(pair.secret?.withBytes { $0.text(at: 0..<$0.count) } ?? "")"
    }
    #expect(texts == readings)
    let brought = try #require(PassThroughCredentials(credentials, []))
    let asGiven = brought.asGiven.secret.withBytes { $0.text(at: 0..<$0.count) }
    #expect("\(brought.asGiven.clientID):\(asGiven)" == readings.last, "they go on as they came")
    #expect(readings[0].hasPrefix("\(brought.clientID):"), "however it is spelled, the client is one")
    #expect(credentials.authorization?.withBytes { $0.text(at: 0..<$0.count) } == "bAsIc  \(base64)")
  }

  @Test(
    "What is no pair in base64 is malformed",
    arguments: ["!!!", "YQ==", "OmE=", "/zph", "AGE6Yg==", "YTpi, Basic YTpi"])
  func malformed(_ base64: String) {
    let result = Result { () throws(Problem) in try ClientCredentials(authorization: "Basic \(base64)") }
    #expect(error(result) == .invalidRequest)
  }
}
