import Crypto
import Foundation

/// A configuration with two callers, whose keys are made up anew.
struct TestCallers {
  /// May have `https://api.example.com/` and what lies beneath `https://ledger.example.com/`, for two organizations.
  let billing = "tb_\(UUID().uuidString)"
  /// May have everything, with the scope `read:a` only.
  let reports = "tb_\(UUID().uuidString)"

  var billingProof: String { "Authorization: Bearer \(billing)" }
  var reportsProof: String { "Authorization: bearer \(reports)" }

  var text: String {
    """
    callers:
      billing:
        bearerSHA256: [\(Self.digest(billing))]
        audiences: ["https://api.example.com/", "https://ledger.example.com/*"]
        organizations: [org_a, org_b]
      reports:
        bearerSHA256: [\(Self.digest(reports))]
        audiences: ["*"]
        scopes: ["read:a"]

    """
  }

  var lines: Int { text.split(separator: "\n").count }

  static func digest(_ key: String) -> String {
    SHA256.hash(data: Data(key.utf8)).map { String(format: "%02x", $0) }.joined()
  }
}
