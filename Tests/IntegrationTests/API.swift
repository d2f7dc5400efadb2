/// An API that the development tenant knows.
enum API {
  static let audience = "https://api.example.com/"
  /// What follows `/token/` in the broker's path.
  static let path = "https%3A%2F%2Fapi.example.com%2F"

  /// What asks for its token, or that of what else follows `/token/`, with more fields of the header if there are any.
  static func request(_ path: String = path, fields: String...) -> String {
    "GET /token/\(path) HTTP/1.1\r\nHost: localhost\r\n" + fields.map { $0 + "\r\n" }.joined() + "\r\n"
  }
}
