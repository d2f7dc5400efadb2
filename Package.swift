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
    // 1.52.0-1+deb12u3 or later; the header can check the first part of that.
    .systemLibrary(name: "CNghttp2", pkgConfig: "libnghttp2", providers: [.apt(["libnghttp2-dev"])]),

    // From the bottom up; no arrow points down this list.
    .target(name: "Clocks", swiftSettings: simulatedSettings),
    .target(name: "Sockets", dependencies: ["Clocks", "CLinux", "COpenSSL"], swiftSettings: hotSettings),
    .target(name: "HTTPServer", dependencies: ["CNghttp2", "Clocks", "Sockets"], swiftSettings: hotSettings),
    .target(
      name: "OAuth",
      dependencies: [
        "CCurl", "COpenSSL", "Clocks",
        .product(name: "Crypto", package: "swift-crypto"),
        .product(name: "JWTKit", package: "jwt-kit"),
      ],
      swiftSettings: settings),
    .target(
      name: "TokenBroker",
      dependencies: [
        "Clocks", "OAuth",
        .product(name: "Crypto", package: "swift-crypto"),
        .product(name: "HeapModule", package: "swift-collections"),
        .product(name: "Logging", package: "swift-log"),
      ],
      swiftSettings: simulatedSettings),
    .target(
      name: "Stores",
      dependencies: [
        "CHiredis", "Clocks", "OAuth", "Sockets", "TokenBroker",
        .product(name: "DequeModule", package: "swift-collections"),
        .product(name: "Logging", package: "swift-log"),
      ],
      swiftSettings: settings),
    .target(
      name: "DevTenant",
      dependencies: [
        "HTTPServer", "Sockets",
        .product(name: "Crypto", package: "swift-crypto"),
        .product(name: "CryptoExtras", package: "swift-crypto"),
        .product(name: "SwiftASN1", package: "swift-asn1"),
        .product(name: "X509", package: "swift-certificates"),
      ],
      swiftSettings: settings),
    broker,

    // What `make bench` and `make soak` ask for tokens.
    .executableTarget(
      name: "tenant", dependencies: ["DevTenant", "Sockets"], path: "Tests/Tenant", swiftSettings: settings),

    .testTarget(
      name: "ConformanceTests", dependencies: ["Clocks", "HTTPServer", "Sockets", "TestSupport"],
      swiftSettings: settings),
    .testTarget(
      name: "DevTenantTests", dependencies: ["DevTenant", "Sockets", "TestSupport"], swiftSettings: settings),
    .testTarget(name: "SocketsTests", dependencies: ["Clocks", "Sockets"], swiftSettings: settings),
    .target(name: "TestSupport", dependencies: ["CLinux"], path: "Tests/TestSupport", swiftSettings: settings),
    .testTarget(
      name: "HTTPServerTests", dependencies: ["Clocks", "HTTPServer", "Sockets", "TestSupport"], swiftSettings: settings
    ),
    .testTarget(
      name: "OAuthTests",
      dependencies: [
        "Clocks", "DevTenant", "OAuth", "Sockets", "TestSupport", "TokenBroker",
        .product(name: "Crypto", package: "swift-crypto"),
        .product(name: "JWTKit", package: "jwt-kit"),
      ],
      swiftSettings: settings),
    .testTarget(
      name: "TokenBrokerTests",
      dependencies: ["Clocks", "OAuth", "TokenBroker", .product(name: "Logging", package: "swift-log")],
      swiftSettings: settings),
    .testTarget(
      name: "StoresTests",
      dependencies: [
        "CLinux", "Clocks", "OAuth", "Sockets", "Stores", "TestSupport", "TokenBroker", "store-writer",
        .product(name: "Logging", package: "swift-log"),
      ],
      swiftSettings: settings),
    // What the tests of the file store kill while it writes.
    .executableTarget(
      name: "store-writer", dependencies: ["Stores", "TokenBroker", .product(name: "Logging", package: "swift-log")],
      path: "Tests/StoreWriter", swiftSettings: settings),
    // The simulator, as a test of a thousand seeds and as a program for more of them.
    .target(
      name: "Simulation",
      dependencies: ["Clocks", "OAuth", "TokenBroker", .product(name: "HeapModule", package: "swift-collections")],
      path: "Tests/Simulation", swiftSettings: simulatedSettings),
    .testTarget(name: "SimulationTests", dependencies: ["Simulation"], swiftSettings: settings),
    .executableTarget(name: "simulate", dependencies: ["Simulation"], path: "Tests/Simulate", swiftSettings: settings),
    .testTarget(
      name: "StatusTests", dependencies: ["Clocks", "OAuth", "TokenBroker", "token-broker"], swiftSettings: settings),
    .testTarget(
      name: "IntegrationTests",
      dependencies: [
        "Clocks", "DevTenant", "OAuth", "Sockets", "TestSupport", "token-broker",
        .product(name: "Crypto", package: "swift-crypto"),
      ],
      exclude: ["Clients", "Servers"], swiftSettings: settings),
    fuzz,
  ]
)

/// Set by `make fuzz`, whose build has a directory of its own.
var isFuzzing: Bool { Context.environment["FUZZ"] != nil }

/// The broker; for the fuzzers, which bring their own `main`, all of it but the command line.
var broker: Target {
  let dependencies: [Target.Dependency] = [
    "CYaml", "Clocks", "DevTenant", "HTTPServer", "OAuth", "Sockets", "Stores", "TokenBroker",
    .product(name: "ArgumentParser", package: "swift-argument-parser"),
    .product(name: "Crypto", package: "swift-crypto"),
    .product(name: "Logging", package: "swift-log"),
  ]
  return isFuzzing
    ? .target(name: "token-broker", dependencies: dependencies, exclude: ["Commands"], swiftSettings: settings)
    : .executableTarget(
      name: "token-broker", dependencies: dependencies, swiftSettings: hotSettings, linkerSettings: [smaller])
}

/// Addresses to be filled in at start take an eighth of the room, for which glibc must be 2.36 or newer, and functions that
/// nobody looks up by name have none: three megabytes less to read at each start.
var smaller: LinkerSetting {
  let options = ["-z", "pack-relative-relocs", "--no-export-dynamic"].flatMap { ["-Xlinker", $0] }
  return .unsafeFlags(["-use-ld=lld"] + options, .when(configuration: .release))
}

/// What the fuzzers try: as a program, or as tests that play their corpora once.
var fuzz: Target {
  let dependencies: [Target.Dependency] = [
    "Clocks", "HTTPServer", "OAuth", "Sockets", "Stores", "TestSupport", "TokenBroker", "token-broker",
    .product(name: "JWTKit", package: "jwt-kit"),
  ]
  let others = ["Corpus", "fuzz.sh", "http1.dict"]
  return isFuzzing
    ? .executableTarget(
      name: "fuzz", dependencies: dependencies, path: "Tests/Fuzz", exclude: others + ["ReplayTests.swift"],
      swiftSettings: settings + [.unsafeFlags(["-parse-as-library"])])
    : .testTarget(
      name: "FuzzTests", dependencies: dependencies, path: "Tests/Fuzz", exclude: others + ["Fuzzer.swift"],
      swiftSettings: settings)
}

/// For the code a request runs through: exclusive access is checked in debug builds, and so by every test. A release would
/// spend a tenth of its time on it, because loop-owned objects reach each other in ways the compiler cannot follow.
var hotSettings: [SwiftSetting] {
  settings + [.unsafeFlags(["-enforce-exclusivity=unchecked"], .when(configuration: .release))]
}

/// For what the simulator runs through: it plays a thousand histories in every test run, and unoptimised that takes minutes.
var simulatedSettings: [SwiftSetting] {
  settings + [.unsafeFlags(["-O"], .when(configuration: .debug))]
}

var settings: [SwiftSetting] {
  [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .strictMemorySafety(),
    .treatAllWarnings(as: .error),
  ]
}
