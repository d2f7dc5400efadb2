// swift-tools-version:6.2
import PackageDescription

// Package.resolved is not kept, so every dependency is exact, the indirect ones too.
let package = Package(
  name: "token-broker",
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser.git", exact: "1.8.2"),
    .package(url: "https://github.com/apple/swift-asn1.git", exact: "1.7.4"),
    .package(url: "https://github.com/apple/swift-certificates.git", exact: "1.21.1"),
    .package(url: "https://github.com/apple/swift-collections.git", exact: "1.6.0"),
    .package(url: "https://github.com/apple/swift-crypto.git", exact: "4.5.2"),
    .package(url: "https://github.com/apple/swift-log.git", exact: "1.16.2"),
    .package(url: "https://github.com/vapor/jwt-kit.git", exact: "5.7.1"),
  ],
  targets: [
    // C libraries: a header each, no Swift.
    .systemLibrary(name: "CLinux"),
    .systemLibrary(name: "CCurl", pkgConfig: "libcurl", providers: [.apt(["libcurl4-openssl-dev"])]),
    .systemLibrary(name: "CYaml", pkgConfig: "yaml-0.1", providers: [.apt(["libyaml-dev"])]),
    .systemLibrary(name: "COpenSSL", pkgConfig: "openssl", providers: [.apt(["libssl-dev"])]),
    .systemLibrary(name: "CHiredis", providers: [.apt(["libhiredis-dev"])]),
    .systemLibrary(name: "CSQLite", pkgConfig: "sqlite3", providers: [.apt(["libsqlite3-dev"])]),
    // 1.52.0-1+deb12u3 or later; the header can check the first part of that.
    .systemLibrary(name: "CNghttp2", pkgConfig: "libnghttp2", providers: [.apt(["libnghttp2-dev"])]),

    // The only C that is compiled: what the process was started with.
    .target(name: "CArguments"),

    // From the bottom up: a module imports what stands above it, and of that only what Tests/Checks/imports.py allows.
    module("Basics", [crypto], .simulated),
    module("IO", ["Basics", "CArguments", "CLinux", "COpenSSL"], .hot),
    module("HTTPServer", ["Basics", "IO", "CNghttp2"], .hot),
    module("HTTPClient", ["Basics", "CCurl", "COpenSSL", "IO"]),
    module("OAuth", ["Basics", "HTTPClient", crypto, cryptoExtras, jwtKit]),
    module("BrokerCore", ["Basics", "OAuth", crypto, heap, logging], .simulated),
    module("Stores", ["Basics", "IO", "BrokerCore", "CHiredis", "CSQLite", deque, logging]),
    module("Telemetry", ["Basics", "IO", "BrokerCore", logging]),
    module("BrokerAPI", ["Basics", "IO", "HTTPServer", "OAuth", "BrokerCore", "Telemetry"], .hot),
    module(
      "Status", ["Basics", "OAuth", "BrokerCore", "Telemetry"],
      resources: ["Page/page.html", "Page/page.css", "Page/page.js"]),
    module("Settings", ["BrokerAPI", "CYaml", "HTTPClient", "Status", "Stores", logging]),
    module("Application", ["Settings", logging]),
    module("DevTenant", ["Basics", "IO", "HTTPServer", crypto, cryptoExtras, asn1, x509]),
    .executableTarget(
      name: "token-broker", dependencies: ["Application", "Settings", "DevTenant", argumentParser],
      swiftSettings: Speed.ordinary.settings, linkerSettings: [smaller]),

    // What `make bench` and `make soak` ask for tokens.
    program("tenant", ["Basics", "DevTenant", "IO"], path: "Tests/Tenant"),
    // What the tests of the file store kill while it writes.
    program("store-writer", ["Basics", "BrokerCore", "Stores", logging], path: "Tests/StoreWriter"),
    // The simulator, as a test of a thousand seeds and as a program for more of them.
    module("Simulation", ["Basics", "BrokerCore", "OAuth", heap], .simulated, path: "Tests/Simulation"),
    program("simulate", ["Simulation"], path: "Tests/Simulate"),

    module("TestSupport", ["Basics", "CLinux", "IO"], path: "Tests/TestSupport"),
    tests("ConformanceTests", ["Basics", "HTTPServer", "IO"]),
    tests("DevTenantTests", ["Basics", "DevTenant", "IO"]),
    tests("BasicsTests", ["Basics"]),
    tests("IOTests", ["Basics", "IO"]),
    tests("HTTPServerTests", ["Basics", "HTTPServer", "IO"]),
    tests("HTTPClientTests", ["Basics", "CCurl", "DevTenant", "HTTPClient", "IO"], exclude: ["Servers"]),
    tests(
      "OAuthTests", ["Basics", "BrokerCore", "DevTenant", "HTTPClient", "IO", "OAuth", crypto, jwtKit],
      exclude: ["Servers"]),
    tests("BrokerCoreTests", ["Basics", "BrokerCore", "DevTenant", "IO", "OAuth", logging]),
    tests("StoresTests", ["Basics", "BrokerCore", "CLinux", "IO", "Stores", "store-writer", logging]),
    tests("SimulationTests", ["Simulation"]),
    tests("TelemetryTests", ["Telemetry"]),
    tests("BrokerAPITests", ["BrokerAPI"]),
    tests("StatusTests", ["Status"]),
    tests("SettingsTests", ["IO", "Settings", "Stores", logging]),
    tests("ApplicationTests", ["Application", "Settings"]),
    tests("IntegrationTests", ["Basics", "DevTenant", "IO", "token-broker", crypto], exclude: ["Clients"]),
    // What the fuzzers try: `make fuzz` builds the program with libFuzzer, and the tests play the corpora once.
    module("FuzzTargets", ["Application", "TestSupport", cryptoExtras], path: "Tests/Fuzz/Targets"),
    program("fuzz", ["FuzzTargets"], path: "Tests/Fuzz/Program"),
    tests("FuzzTests", ["FuzzTargets"]),
  ]
)

// MARK: Kinds of targets

func module(
  _ name: String, _ dependencies: [Target.Dependency], _ speed: Speed = .ordinary, path: String? = nil,
  resources: [String] = []
) -> Target {
  .target(
    name: name, dependencies: dependencies, path: path, resources: resources.map { .embedInCode($0) },
    swiftSettings: speed.settings)
}

func program(_ name: String, _ dependencies: [Target.Dependency], path: String) -> Target {
  .executableTarget(name: name, dependencies: dependencies, path: path, swiftSettings: Speed.ordinary.settings)
}

func tests(_ name: String, _ dependencies: [Target.Dependency], exclude: [String] = []) -> Target {
  .testTarget(
    name: name, dependencies: dependencies + ["TestSupport"], exclude: exclude,
    swiftSettings: Speed.ordinary.settings)
}

enum Speed {
  case ordinary
  /// A request runs through it. Exclusive access is checked in debug builds, and so by every test; a release would
  /// spend a tenth of its time on it, because loop-owned objects reach each other in ways the compiler cannot follow.
  case hot
  /// The simulator runs through it: it plays a thousand histories in every test run, and unoptimised that takes
  /// minutes.
  case simulated

  var settings: [SwiftSetting] {
    switch self {
    case .ordinary: Self.common
    case .hot: Self.common + [.unsafeFlags(["-enforce-exclusivity=unchecked"], .when(configuration: .release))]
    case .simulated: Self.common + [.unsafeFlags(["-O"], .when(configuration: .debug))]
    }
  }

  private static var common: [SwiftSetting] {
    [
      .swiftLanguageMode(.v6),
      .enableUpcomingFeature("ExistentialAny"),
      .enableUpcomingFeature("InternalImportsByDefault"),
      .enableUpcomingFeature("MemberImportVisibility"),
      .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
      .strictMemorySafety(),
      .treatAllWarnings(as: .error),
      // Swift 6.3.1 loses the way back to an actor from a function that runs on its caller's and awaits another last:
      // two threads are on one actor then (Tests/Checks/isolation.sh).
      .unsafeFlags(["-Xllvm", "-sil-disable-pass=optimize-hop-to-executor"]),
    ]
  }
}

/// Addresses to be filled in at start take an eighth of the room, for which glibc must be 2.36 or newer, and functions
/// that nobody looks up by name have none: three megabytes less to read at each start.
var smaller: LinkerSetting {
  let options = ["-z", "pack-relative-relocs", "--no-export-dynamic"].flatMap { ["-Xlinker", $0] }
  return .unsafeFlags(["-use-ld=lld"] + options, .when(configuration: .release))
}

// MARK: Libraries

var argumentParser: Target.Dependency { .product(name: "ArgumentParser", package: "swift-argument-parser") }
var asn1: Target.Dependency { .product(name: "SwiftASN1", package: "swift-asn1") }
var crypto: Target.Dependency { .product(name: "Crypto", package: "swift-crypto") }
var cryptoExtras: Target.Dependency { .product(name: "CryptoExtras", package: "swift-crypto") }
var deque: Target.Dependency { .product(name: "DequeModule", package: "swift-collections") }
var heap: Target.Dependency { .product(name: "HeapModule", package: "swift-collections") }
var jwtKit: Target.Dependency { .product(name: "JWTKit", package: "jwt-kit") }
var logging: Target.Dependency { .product(name: "Logging", package: "swift-log") }
var x509: Target.Dependency { .product(name: "X509", package: "swift-certificates") }
