import BrokerCore
import IO

extension StoreError {
  /// Runs `body`, and turns the error of a system call into the sentence "`what`: …".
  static func explaining<Result: ~Copyable>(
    _ what: String, _ body: () throws(SystemError) -> Result
  ) throws(StoreError) -> Result {
    do throws(SystemError) {
      return try body()
    } catch {
      throw StoreError("\(what): \(error)")
    }
  }
}
