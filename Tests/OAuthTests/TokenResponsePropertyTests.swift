import Basics
import Testing
import BrokerCore

@testable import HTTPClient
@testable import OAuth

/// Thousands of random answers, the same in every run.
@Suite struct TokenResponsePropertyTests {
  /// An answer as a careless but honest server may write it.
  private struct Sample {
    let token: String
    let expiresIn: Int?
    let scope: String?
    /// JSON, ready to be joined.
    var members: [String]

    private static let tokenLetters = "ABCXYZabcxyz0189-._~+/!#$%&'()*:;<=>?@[]^`{|}".map { $0 }
    private static let scopeLetters = "aZ09:/ \"\\\u{8}\n\u{7F}é\u{301}漢😀\u{FEFF}{}[],".unicodeScalars.map { $0 }
    private static let spaces = ["", "", "", " ", "\n", "\r\n\t"]

    init(_ random: inout SeededGenerator) {
      token = random.text(of: Self.tokenLetters, upTo: 60) + random.pick(["a", "a=", "a=="])
      let type = "bearer".map { Bool.random(using: &random) ? $0.uppercased() : "\($0)" }.joined()
      members = [
        Self.member("access_token", Self.string(token, &random), &random),
        Self.member("token_type", Self.string(type, &random), &random),
      ]
      let life = Self.life(&random)
      expiresIn = life.seconds
      if let text = life.text { members.append(Self.member("expires_in", text, &random)) }
      scope = Bool.random(using: &random) ? random.text(of: Self.scopeLetters, upTo: 12) : nil
      if let scope { members.append(Self.member("scope", Self.string(scope, &random), &random)) }
      for number in 0..<Int.random(in: 0...3, using: &random) {
        members.append(Self.member("other-\(number)", Self.value(&random), &random))
      }
      members.shuffle(using: &random)
    }

    var body: [UInt8] { Array("{\(members.joined(separator: ","))}".utf8) }

    static func member(_ name: String, _ value: String, _ random: inout SeededGenerator) -> String {
      let parts = [string(name, &random), ":", value, ""]
      return parts.reduce(into: random.pick(spaces)) { $0 += $1 + random.pick(spaces) }
    }

    /// A lifetime as JSON, and what is to be read from it; without a text it is not told.
    private static func life(_ random: inout SeededGenerator) -> (text: String?, seconds: Int?) {
      if Int.random(in: 0..<6, using: &random) == 0 { return random.pick([(nil, nil), ("null", nil)]) }
      let seconds = Int.random(in: 1...(1 << Int.random(in: 1...50, using: &random)), using: &random)
      let read = min(seconds, TokenResponse.maxLifetime)
      let exact = ["", ".0", ".99", "e0"].map { ("\(seconds)\($0)", read) }
      let huge = ("\(seconds)e\(Int.random(in: 7...290, using: &random))", TokenResponse.maxLifetime)
      let (number, expected) = random.pick(exact + [("\(seconds)0E-1", read), huge])
      return (Bool.random(using: &random) ? number : "\"\(number)\"", expected)
    }

    /// A JSON string of the text, with more escapes than it needs.
    static func string(_ text: String, _ random: inout SeededGenerator) -> String {
      let scalars = text.unicodeScalars.map { scalar in
        let mustEscape = scalar.value < 0x20 || scalar == "\"" || scalar == "\\"
        guard mustEscape || Int.random(in: 0..<8, using: &random) == 0 else { return String(scalar) }
        return String(scalar).utf16.map { unit in
          let digits = String(unit, radix: 16, uppercase: Bool.random(using: &random))
          return "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
        }.joined()
      }
      return "\"\(scalars.joined())\""
    }

    /// What nobody asked for, with the names that count inside.
    private static func value(_ random: inout SeededGenerator) -> String {
      random.pick([
        "1", "-0.5e3", "true", "null", "\"\"", "[]", "{}", "[[{}],\"access_token\",\"access_token\"]",
        "{\"access_token\":\"x\",\"token_type\":1}", "\"\\\"access_token\\\":1\"", "{\"a\":1,\"a\":2}",
      ])
    }
  }

  private static func answer(_ body: [UInt8]) -> HTTPClient.Response {
    let now = Instant.now
    return HTTPClient.Response(status: 200, fields: [], body: body, requestedAt: now, receivedAt: now)
  }

  private static func show(_ body: [UInt8]) -> Comment { "\(String(decoding: body, as: UTF8.self)) = \(body)" }

  private static let tokenBytes = Set(0x21...0x7E as ClosedRange<UInt8>).subtracting(#"",\"#.utf8)

  /// Whatever it is, it gives a sound token or one of three errors. True: a token with some life.
  @discardableResult
  private static func isSound(_ body: [UInt8]) -> Bool {
    do throws(TokenError) {
      let read = try TokenResponse(answer(body))
      #expect((1...AccessToken.maxBytes).contains(read.accessToken.value.utf8.count), show(body))
      #expect(read.accessToken.value.utf8.allSatisfy(tokenBytes.contains), show(body))
      #expect(read.expiresIn.map { (0...TokenResponse.maxLifetime).contains($0) } ?? true, show(body))
      return read.expiresIn != 0
    } catch {
      #expect([.upstreamGlitch, .invalidUpstreamResponse, .tokenValidationFailed].contains(error.cause), show(body))
      return false
    }
  }

  @Test("Every well-formed answer is read as it was meant, however it is written")
  func roundTrip() throws {
    var random = SeededGenerator(seed: 1)
    for _ in 0..<4000 {
      let sample = Sample(&random)
      let read = try? TokenResponse(Self.answer(sample.body))
      #expect(read?.accessToken.value == sample.token, Self.show(sample.body))
      #expect(read?.expiresIn == sample.expiresIn, Self.show(sample.body))
      #expect(read?.scope == sample.scope, Self.show(sample.body))
    }
  }

  @Test("An answer that names any member twice is refused, wherever and however it does")
  func duplicates() {
    var random = SeededGenerator(seed: 2)
    for _ in 0..<4000 {
      var sample = Sample(&random)
      let name = random.pick(["access_token", "token_type", "expires_in", "scope", "other"])
      let value = random.pick(["1", "null", "\"Bearer\"", "{}"])
      for _ in 0..<2 {
        let member = Sample.member(name, value, &random)
        sample.members.insert(member, at: Int.random(in: 0...sample.members.count, using: &random))
      }
      #expect(!Self.isSound(sample.body), Self.show(sample.body))
    }
  }

  @Test("An answer that was cut short is refused, wherever it was cut")
  func truncation() {
    var random = SeededGenerator(seed: 3)
    for _ in 0..<4000 {
      let body = Sample(&random).body
      let cut = Array(body.prefix(Int.random(in: 0..<body.count, using: &random)))
      #expect(!Self.isSound(cut), Self.show(cut))
    }
  }

  @Test("A lifetime that is no positive number is refused, in every form of number")
  func lifetimes() {
    var random = SeededGenerator(seed: 4)
    for _ in 0..<4000 {
      let digits = random.text(of: ["0", "1", "9", "00"], upTo: 30)
      let number = random.pick(["-", "0.", "-0.", "+-", ".", "--", "e", "NaN", "-inf"]) + digits
      let value = random.pick([number, "\"\(number)\"", "[\(digits)]", "true", "false", "\"\"", "{}", "-1e400"])
      let body = Array(#"{"access_token":"a","token_type":"Bearer","expires_in":\#(value)}"#.utf8)
      #expect(!Self.isSound(body), Self.show(body))
    }
  }

  @Test("However an answer is mangled, it gives a sound token or an error")
  func mutations() {
    var random = SeededGenerator(seed: 5)
    let pieces = ["\"", "\\", "{", "}", ",", ":", "1e999", "-", "\\u0000", "\\ud800", "null", "\u{0}", "\"a\":1", "e"]
    var tokens = 0
    for _ in 0..<10_000 {
      var body = Sample(&random).body
      for _ in 0..<Int.random(in: 1...4, using: &random) where !body.isEmpty {
        let index = Int.random(in: 0..<body.count, using: &random)
        let end = min(body.count, index + Int.random(in: 0...8, using: &random))
        switch Int.random(in: 0..<6, using: &random) {
        case 0: body[index] ^= 1 << UInt8.random(in: 0..<8, using: &random)
        case 1: body[index] = .random(in: .min ... .max, using: &random)
        case 2: body.removeSubrange(index..<end)
        case 3: body.insert(contentsOf: body[index..<end], at: Int.random(in: 0...body.count, using: &random))
        case 4: body.insert(contentsOf: random.pick(pieces).utf8, at: index)
        default: body.swapAt(index, Int.random(in: 0..<body.count, using: &random))
        }
      }
      if Self.isSound(body) { tokens += 1 }
    }
    #expect((500...9500).contains(tokens), "the mutations are too tame or too wild: \(tokens)")
  }
}
