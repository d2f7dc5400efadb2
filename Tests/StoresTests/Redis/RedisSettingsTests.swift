import Basics
import OAuth
import Testing

@testable import Stores

@Suite struct RedisSettingsTests {
  private func text(_ secret: Secret?) -> [UInt8]? {
    secret?.withBytes { bytes in bytes.indices.map { bytes[$0] } }
  }

  @Test(
    "A URL says where the server is",
    arguments: [
      ("redis://cache.internal", "redis://cache.internal:6379/0"),
      ("redis://cache.internal/", "redis://cache.internal:6379/0"),
      ("redis://cache_1.internal:1/15", "redis://cache_1.internal:1/15"),
      ("rediss://10.0.0.1:65535/3", "rediss://10.0.0.1:65535/3"),
      ("redis://[::1]", "redis://[::1]:6379/0"),
      ("rediss://u:p@[2001:db8::1]:7000/2", "rediss://[2001:db8::1]:7000/2"),
      ("redis+sentinel://s1.internal/main", "redis+sentinel://s1.internal:26379/main/0"),
      ("redis+sentinel://s1:1,s2,[::1]:3/a.b-C_9/4", "redis+sentinel://s1:1,s2:26379,[::1]:3/a.b-C_9/4"),
      ("rediss+sentinel://u:p,q@10.0.0.1,10.0.0.2:5/0/", "rediss+sentinel://10.0.0.1:26379,10.0.0.2:5/0/0"),
      ("redis+unix:///run/redis.sock", "redis+unix:///run/redis.sock?db=0"),
      ("redis+unix://u:p@/run/a%20b/r.sock?db=4", "redis+unix:///run/a b/r.sock?db=4"),
    ])
  func places(_ url: String, _ description: String) throws {
    let settings = try RedisSettings(url: url)
    #expect("\(settings)" == description)
    #expect(settings.usesTLS == url.hasPrefix("rediss"))
    #expect(settings.prefix == "token-broker:")
  }

  @Test(
    "User and password stand before the @, percent-encoded",
    arguments: [
      ("redis://h", nil, nil),
      ("redis://@h", nil, nil),
      ("redis://u@h", "u", nil),
      ("redis://u:@h", "u", nil),
      ("redis://:p@h", nil, "p"),
      ("redis://u:p:q@h", "u", "p:q"),
      ("redis://u%40x:p%2F%3a%25%40@h", "u@x", "p/:%@"),
      ("redis://u:+&=@h", "u", "+&="),
      ("redis+unix://u:p%3F@/s", "u", "p?"),
      ("redis+sentinel://u:p,%2Fq@h,i/n", "u", "p,/q"),
    ] as [(String, String?, String?)])
  func credentials(_ url: String, _ user: String?, _ password: String?) throws {
    let settings = try RedisSettings(url: url)
    #expect(settings.user == user)
    #expect(text(settings.password) == password.map { Array($0.utf8) })
  }

  @Test("A password may be any bytes")
  func bytes() throws {
    #expect(text(try RedisSettings(url: "redis://:%00%ff%FE@h").password) == [0, 0xFF, 0xFE])
  }

  @Test(
    "A malformed URL is refused with what was expected, and nothing that could be a password",
    arguments: [
      ("", "expected redis://"), ("h:1", "expected redis://"), ("http://s3cret@h", "expected redis://"),
      ("REDIS://h", "expected redis://"), ("redis:/h", "expected redis://"), ("redis://", "expected a host"),
      ("redis://u:s3cret@", "expected a host"), ("redis://h:", "expected a port"), ("redis://h:0", "expected a port"),
      ("redis://h:65536", "expected a port"), ("redis://h:+1", "expected a port"),
      ("redis://h:1:s3cret", "expected a port"),
      ("redis://h:s3cret", "expected a port"), ("redis://h/s3cret", "number of a database"),
      ("redis://h/-1", "number of a database"), ("redis://h/1/2", "number of a database"),
      ("redis://h/1234567890", "number of a database"), ("redis://h?db=1", "written as /0"),
      ("redis://u:s3/cret@h", "%40 or %2F"), ("redis://u:s3#cret@h", "%23"), ("redis://u:s3cret%@h", "%25"),
      ("redis://u:s3cret%4@h", "%25"), ("redis://u:s3cret%4g@h", "%25"), ("redis://u:s3cret%+1@h", "%25"),
      ("redis://%ff:s3cret@h", "no text"), ("redis://h s3cret", "expected a host"), ("redis://h%41", "expected a host"),
      ("redis://ü", "expected a host"), ("redis://[::1", "[address]"), ("redis://[::1]s3cret", "[address]"),
      ("redis://[s3cret]", "IPv6"), ("redis://[]", "IPv6"), ("redis+unix://h/s", "///path"),
      ("redis+unix://", "///path"), ("redis+unix:///", "///path"),
      ("redis+unix:///s?db=s3cret", "number of a database"),
      ("redis+sentinel://u:s3cret@h", "expected /name"), ("redis+sentinel://h/", "expected /name"),
      ("redis+sentinel://h/s3%41", "expected /name"), ("redis+sentinel://h//0", "expected /name"),
      ("redis+sentinel://h/n/s3", "number of a database"), ("redis+sentinel://h/n?db=s3", "written as /name/0"),
      ("redis+sentinel://h,/n", "expected a host"), ("redis+sentinel://,h/n", "expected a host"),
      ("redis+sentinel://h,i:s3/n", "expected a port"), ("redis+sentinel://h,u@s3@i/n", "%40 or %2F"),
      ("redis+sentinel://u:s3/c@h,i/n", "%40 or %2F"), ("redis+sentinel://u:s3#c@h,i/n", "%23"),
      ("other+sentinel://h/n", "expected redis+sentinel://"), ("redis+sentinel:/h", "expected redis://"),
      ("redis+sentinel://\(Array(repeating: "h", count: 17).joined(separator: ","))/n", "at most 16"),
      ("redis+unix:///s?s3cret", "db=0"), ("redis+unix:///s%00t", "no text"),
    ])
  func malformed(_ url: String, _ expected: String) {
    let error = #expect(throws: RedisSettings.Malformed.self) { try RedisSettings(url: url) }
    #expect(error?.description.contains(expected) == true, "\(error?.description ?? "")")
    #expect(error?.description.contains("s3") == false)
  }

  @Test("Neither a description nor a dump shows the password, or the user")
  func redaction() throws {
    let settings = try RedisSettings(url: "redis://us3r:s3cret@h")
    var text = ""
    dump(settings, to: &text)
    #expect(!("\(settings)" + String(reflecting: settings.password) + text).contains("s3cret"))
    #expect(!"\(settings)".contains("us3r"))
  }
}
