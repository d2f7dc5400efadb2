import Dispatch
import Foundation
import FuzzTargets

#if FUZZING

  /// What libFuzzer calls, which brings the `main` of `make fuzz`. `FUZZ_TARGET` chooses the target.
  @_cdecl("LLVMFuzzerTestOneInput")
  public func fuzzOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = unsafe Array(UnsafeBufferPointer(start: start, count: count))
    let done = DispatchSemaphore(value: 0)
    Task {
      do {
        try await target.run(bytes)
      } catch {
        fatalError("\(error)")
      }
      done.signal()
    }
    done.wait()
    return 0
  }

#else

  /// Plays inputs, such as those that the fuzzer has found: `FUZZ_TARGET=http1 fuzz FILE...`
  @main struct Fuzzer {
    static func main() async throws {
      for path in CommandLine.arguments.dropFirst() {
        try await target.run([UInt8](Data(contentsOf: URL(fileURLWithPath: path))))
      }
    }
  }

#endif

private let target: FuzzTarget = {
  let name = ProcessInfo.processInfo.environment["FUZZ_TARGET"] ?? ""
  guard let target = FuzzTarget.all.first(where: { $0.name == name }) else {
    print("FUZZ_TARGET is one of: \(FuzzTarget.all.map(\.name).joined(separator: " "))")
    exit(64)
  }
  return target
}()
