import Basics
import Testing

@Suite struct JSONObjectTests {
  private static func object(_ json: String) throws(JSONObject.Flaw) -> JSONObject { try JSONObject(Array(json.utf8)) }

  @Test(
    "What is no JSON object by RFC 8259 is malformed",
    arguments: [
      "", " ", "1", "null", #""a""#, "[]", "[{}]", "{", "{}}", "{} {}", "{}x", "x{}", "{,}", #"{"a"}"#, #"{"a":}"#,
      #"{"a" 1}"#, #"{"a":1,}"#, #"{,"a":1}"#, #"{"a":1 "b":2}"#, #"{a:1}"#, #"{'a':1}"#, #"{1:1}"#, #"{null:1}"#,
      #"{"a":[1,]}"#, #"{"a":[,1]}"#, #"{"a":[1 2]}"#, #"{"a":[}]"#, #"{"a":[1}"#, #"{"a":{]}"#, #"{"a":"b}"#,
      #"{"a":"b\"}"#, #"{"a":tru}"#, #"{"a":True}"#, #"{"a":nulll}"#, #"{"a":01}"#, #"{"a":1.}"#, #"{"a":.5}"#,
      #"{"a":-}"#, #"{"a":+1}"#, #"{"a":1e}"#, #"{"a":1e+}"#, #"{"a":0x1}"#, #"{"a":NaN}"#, #"{"a":- 1}"#,
      #"{"a":1}/**/"#, "{\"a\u{0}\":1}", "{\"a\":1}\u{0}", "{\u{A0}\"a\":1}", #"{"\ud800":1}"#, #"{"\q":1}"#,
    ])
  func malformed(_ json: String) {
    #expect(throws: JSONObject.Flaw.malformed) { try Self.object(json) }
  }

  @Test("An object in another encoding than UTF-8 is malformed")
  func encodings() {
    let json = #"{"a":1}"#
    #expect(throws: JSONObject.Flaw.malformed) { try JSONObject(json.utf16.flatMap { [UInt8($0), 0] }) }
    #expect(throws: JSONObject.Flaw.malformed) { try JSONObject(json.utf16.flatMap { [0, UInt8($0)] }) }
  }

  @Test("White space and a byte order mark around the tokens change nothing")
  func space() throws {
    let object = try Self.object("\u{FEFF} \t\r\n{ \"a\" :\n[ \"b\" ,\t\"c\" ] , \"d\" : 1 } \n")
    #expect(try object.texts("a") == ["b", "c"])
    #expect(try object.number("d") == 1)
  }

  @Test(
    "A name that stands twice is found at the top level only, whatever surrounds it",
    arguments: [
      (#"{"a":1,"b":2}"#, false), (#"{"a":1,"a":2}"#, true), (#"{"a":{"b":1},"b":2}"#, false),
      (#"{"a":"b","b":"a"}"#, false), (#"{"x":["a","a"],"a":1}"#, false), (#"{ "a" : 1 , "a" : 2 }"#, true),
      (#"{"a\"":1,"a\"":2}"#, true), (#"{"a\\":1,"a":2}"#, false), (#"{"\u0061":1,"a":2}"#, true), ("{}", false),
      (#"{"k":"{\"a\":1,\"a\":1}"}"#, false), (#"{"x":{"a":1,"a":2}}"#, false), (#"{"a":null,"b":{},"a":[]}"#, true),
    ])
  func repeated(_ json: String, _ isRepeated: Bool) {
    var flaw: JSONObject.Flaw?
    do throws(JSONObject.Flaw) { _ = try Self.object(json) } catch { flaw = error }
    #expect(flaw == (isRepeated ? .repeatedName : nil))
  }

  @Test("An object that is malformed is that, though a name stands in it twice")
  func both() {
    #expect(throws: JSONObject.Flaw.malformed) { try Self.object(#"{"a":1,"a":2,"#) }
  }

  @Test(
    "A text is read with its escapes",
    arguments: [
      (#""""#, ""), (#""aé漢😀""#, "aé漢😀"), (#""\"\\\/\b\f\n\r\t""#, "\"\\/\u{8}\u{C}\n\r\t"),
      (#""\u0041\u00e9\uD83D\uDE80\u0000""#, "Aé🚀\u{0}"), (#""\uFFFF\ue000""#, "\u{FFFF}\u{E000}"), ("null", nil),
    ] as [(String, String?)])
  func texts(_ value: String, _ expected: String?) throws {
    #expect(try Self.object(#"{"a":\#(value)}"#).text("a") == expected)
  }

  @Test(
    "What is no text is not read as one",
    arguments: [
      "1", "true", "[]", #"["a"]"#, "{}", #""\q""#, #""\u12""#, #""\u12G4""#, #""\ud800""#, #""\udc00""#,
      #""\ud800\ud800""#, #""\ud800x""#, #""\ud83d\u0041""#, "\"a\nb\"", "\"\u{0}\"", "\"\u{1F}\"",
    ])
  func noTexts(_ value: String) throws {
    let object = try Self.object(#"{"a":\#(value),"b":1}"#)
    #expect(throws: JSONObject.WrongType.self) { try object.text("a") }
    #expect(try object.number("b") == 1)
  }

  @Test("A text whose bytes are not UTF-8 is not read, and spoils no other")
  func notUTF8() throws {
    let object = try JSONObject(Array(#"{"a":""#.utf8) + [0xE9] + Array(#"","b":"c"}"#.utf8))
    #expect(throws: JSONObject.WrongType.self) { try object.text("a") }
    #expect(try object.text("b") == "c")
  }

  @Test(
    "A number is read as it was written",
    arguments: [
      ("0", 0), ("-0", 0), ("1700000000", 1_700_000_000), ("-12.50", -12.5), ("1e3", 1000), ("25E-1", 2.5),
      ("1.0e+2", 100), ("9007199254740993", 9_007_199_254_740_992), ("null", nil),
    ] as [(String, Double?)])
  func numbers(_ value: String, _ expected: Double?) throws {
    #expect(try Self.object(#"{"a":\#(value)}"#).number("a") == expected)
  }

  @Test("What is no finite number is not read as one", arguments: ["1e999", "-1e999", #""1""#, "true", "[]", "{}"])
  func noNumbers(_ value: String) throws {
    let object = try Self.object(#"{"a":\#(value)}"#)
    #expect(throws: JSONObject.WrongType.self) { try object.number("a") }
  }

  @Test(
    "A list of texts is one text or an array of them",
    arguments: [
      (#""a""#, ["a"]), (#"["a","\u0062"]"#, ["a", "b"]), ("[]", []), ("null", nil),
    ] as [(String, [String]?)])
  func lists(_ value: String, _ expected: [String]?) throws {
    #expect(try Self.object(#"{"a":\#(value)}"#).texts("a") == expected)
  }

  @Test("An array with anything else is no list of texts", arguments: [#"["a",1]"#, "[null]", #"[["a"]]"#, "{}", "1"])
  func noLists(_ value: String) throws {
    let object = try Self.object(#"{"a":\#(value)}"#)
    #expect(throws: JSONObject.WrongType.self) { try object.texts("a") }
  }

  @Test("Nesting is bounded", arguments: [(127, true), (128, false), (100_000, false)])
  func nesting(_ levels: Int, _ isRead: Bool) {
    for (open, close) in [("[", "]"), (#"{"a":"#, "}")] {
      let inner = open == "[" ? "" : "1"
      let value = String(repeating: open, count: levels) + inner + String(repeating: close, count: levels)
      #expect(((try? Self.object(#"{"a":\#(value)}"#)) != nil) == isRead, "\(open)")
    }
  }

  @Test("Members are found by name, whether or not they have a value")
  func names() throws {
    let object = try Self.object(#"{"a":null,"b":1}"#)
    #expect(object.contains("a") && object.contains("b") && !object.contains("c"))
    #expect(Set(object.names) == ["a", "b"])
    #expect(try object.text("c") == nil)
  }
}
