import BrokerCore
import IO

extension StoreError {
  /// Does `body`; a call that fails is told of as "`what`: …".
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
