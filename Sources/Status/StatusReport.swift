/// What `/status.json` says and `/status` shows. Times are Unix time in seconds; what is not known is left out.
package struct StatusReport: Encodable, Sendable {
  /// How things are; of several the last in this order counts.
  enum Condition: String, Encodable, Comparable, CaseIterable {
    case ok
    /// Callers notice nothing, or few of them, or it is not the broker that could help them.
    case attention
    /// One caller in a hundred, or more, is refused what they should have.
    case failing
    case draining

    static func < (left: Condition, right: Condition) -> Bool { left.rank < right.rank }
    private var rank: Int { Self.allCases.firstIndex(of: self) ?? 0 }
  }

  /// Something to know, or to do something about.
  struct Problem: Encodable {
    /// What is asked for to see whether it is over.
    struct Grant: Encodable {
      let audience: String
      let scope: String?
      let organization: String?
    }

    /// How bad it is in itself; `ok` is what nobody but its asker need care for.
    let condition: Condition
    let title: String
    /// The cause, as in the failures of the rows that it explains.
    var error: String?
    var client: String?
    /// In the words of what went wrong.
    var detail: String?
    /// In the words of the tenant, by the names of `Evidence.Item`.
    var evidence: [String: String]?
    var remedy: String?
    /// The tenant is not asked again before.
    var retryAt: Double?
    /// Audiences that have no token because of it.
    var withoutToken: Int?
    /// Audiences whose token is good, and is not renewed.
    var notRenewed: Int?
    /// When the first of those ends.
    var servedUntil: Double?
    /// Those of `/retry` that show whether it is over, the first of which is enough where the client is concerned.
    var retry: [Grant]?
  }

  /// How requests for tokens fared within the last two minutes.
  struct Recent: Encodable {
    let seconds: Double
    let requests: Int
    let refused: Int
    let failed: Int
  }

  package struct Process: Encodable {
    let version: String
    let startedAt: Double
    let workers: Int
    let cpuSeconds: Double
    let residentBytes: Int
    let openDescriptors: Int
    let maxDescriptors: Int

    package init(
      version: String, startedAt: Double, workers: Int, cpuSeconds: Double, residentBytes: Int, openDescriptors: Int,
      maxDescriptors: Int
    ) {
      self.version = version
      self.startedAt = startedAt
      self.workers = workers
      self.cpuSeconds = cpuSeconds
      self.residentBytes = residentBytes
      self.openDescriptors = openDescriptors
      self.maxDescriptors = maxDescriptors
    }
  }

  package struct Listener: Encodable {
    let address: String
    let isAdmin: Bool
    let isTLS: Bool
    let http1: Int
    let http2: Int

    package init(address: String, isAdmin: Bool, isTLS: Bool, http1: Int, http2: Int) {
      self.address = address
      self.isAdmin = isAdmin
      self.isTLS = isTLS
      self.http1 = http1
      self.http2 = http2
    }
  }

  struct Store: Encodable {
    struct Requests: Encodable {
      let ok: Int
      let failed: Int
    }

    /// Without user and password.
    let location: String
    /// Why it cannot be used, or what it refuses.
    let problem: String?
    let load: Requests
    let claim: Requests
    let save: Requests
    /// Values that did not open, or whose tokens did not pass.
    let ignored: Int
  }

  /// How the configuration came into force, and how it went when it was last read.
  struct Configuration: Encodable {
    let loadedAt: Double
    let lastReloadAt: Double
    let lastReloadOk: Bool
    /// Why it stays as it was.
    let error: String?
  }

  /// One of the broker's own.
  struct Certificate: Encodable {
    /// As in the label of its metric.
    let use: String
    /// The client that shows it.
    let client: String?
    let file: String
    let names: [String]
    let expiresAt: Double
    /// Less than 0 once it has expired.
    let daysLeft: Int
  }

  /// The keys of an issuer of callers' tokens.
  struct IssuerKeys: Encodable {
    let issuer: String
    let keys: Int
    let readAt: Double?
    /// Why they could not be read when they were last asked for.
    let error: String?
  }

  /// How requests for tokens fared since the start.
  struct Lookups: Encodable {
    let hit: Int
    let miss: Int
    let coalesced: Int
    let stale: Int
    let negative: Int
  }

  /// One minute of requests for tokens, of which the last is not over.
  package struct Minute: Encodable {
    let start: Double
    let seconds: Double
    let ok: Int
    let refused: Int
    let failed: Int
    /// In seconds, estimated from the buckets of a histogram.
    let p50: Double?
    let p99: Double?
  }

  struct Failure: Encodable {
    /// The cause, for which callers may be told a wider word.
    let error: String
    let message: String
    let remedy: String
    let at: Double
    /// Nothing has gone well since.
    let isCurrent: Bool
    /// In a row.
    var times: Int?
    /// The tenant is not asked again before.
    var retryAt: Double?
    let upstreamStatus: Int?
    let upstreamRequestId: String?
    /// What the tenant itself said, by the names of `Evidence.Item`; callers are not told.
    let evidence: [String: String]?
  }

  /// Who may ask, and what they asked for since the start.
  struct Caller: Encodable {
    struct Audience: Encodable {
      let audience: String
      let requests: Int
      let denied: Int
    }

    /// As in the configuration; in parentheses for those that are no callers.
    let name: String
    let lastSeen: Double?
    let requests: Int
    /// Requests for what it may not have.
    let denied: Int
    /// Those that have yielded a token, by name.
    let audiences: [Audience]
  }

  /// Requests that were denied, alike in all but their time.
  struct Denial: Encodable {
    /// When the last one was denied.
    let time: Double
    let peer: String
    /// nil where nobody was recognised.
    let caller: String?
    let audience: String?
    let reason: String
    let times: Int
  }

  struct Client: Encodable {
    struct Secret: Encodable {
      let fingerprint: String
      let since: Double?
      let acceptedAt: Double?
    }

    struct Assertion: Encodable {
      let file: String
      let expiresAt: Double?
      let problem: String?
    }

    struct Key: Encodable {
      let kid: String?
      let alg: String
    }

    struct KeySet: Encodable {
      let keys: [Key]
      let fetchedAt: Double?
      let problem: String?
      let nextFetchAt: Double?
    }

    struct Quota: Encodable {
      let name: String
      let limit: Int
      let remaining: Int
      let resetsAt: Double
    }

    struct Budget: Encodable {
      /// In UTC, such as `2026-11`.
      let month: String
      let limit: Int
      let reserve: Int
      let used: Int
      /// `fleet`: all brokers that share the store count together; `broker`: this one since its start.
      let countedBy: String
    }

    struct Block: Encodable {
      /// `limit`, `refusal` or `fault`.
      let cause: String
      let until: Double
    }

    let name: String
    /// nil where those who ask bring credentials of their own.
    let clientId: String?
    let issuer: String?
    let authentication: String?
    let assertionKey: String?
    let secrets: [Secret]
    /// nil where none is read from a file.
    let assertion: Assertion?
    let keySet: KeySet?
    let minted: Int
    let saved: Int
    /// Requests to the tenant by how they ended.
    let outcomes: [String: Int]
    let lastMintAt: Double?
    let lastFailure: Failure?
    let block: Block?
    let limitedOrganizations: Int
    let inFlight: Int
    let queued: Int
    let quotas: [Quota]
    /// Little is left of one of them, and refreshes that can wait do.
    let scarceUntil: Double?
    let budget: Budget?
  }

  /// A token that is held, was asked for, or is listed in the configuration: what people look for by its audience.
  struct Audience: Encodable {
    /// The worst first.
    enum State: String, Encodable, CaseIterable {
      /// There is no token, and the last attempt to get one failed.
      case failing
      /// The token is good, and cannot be replaced.
      case refreshFailing = "refresh_failing"
      /// The first token is being asked for.
      case fetching
      case held
      /// Nobody needs a token.
      case idle

      var rank: Int { Self.allCases.firstIndex(of: self) ?? 0 }
    }

    let audience: String
    let client: String
    let scope: String?
    let organization: String?
    /// Tells apart those who brought credentials of their own.
    let holder: String?
    let state: State
    var mintedAt: Double?
    var expiresAt: Double?
    var servedUntil: Double?
    var nextRefreshAt: Double?
    var isFetching = false
    var isPrefetched = false
    var hits = 0
    var lastUsedAt: Double?
    var keyId: String?
    var lastFailure: Failure?
    /// The place among the problems of the one that explains it.
    var problem: Int?
  }

  let now: Double
  let condition: Condition
  let problems: [Problem]
  let recent: Recent
  let process: Process
  let listeners: [Listener]
  /// nil: whoever can connect is served.
  let callers: [Caller]?
  /// The latest first.
  let denials: [Denial]
  /// nil: tokens are kept nowhere else.
  let store: Store?
  let configuration: Configuration?
  let certificates: [Certificate]
  let keySets: [IssuerKeys]
  let lookups: Lookups
  let traffic: [Minute]
  let clients: [Client]
  /// Those with troubles first, then by name.
  let audiences: [Audience]
  /// There may be more than are told of.
  let audienceCount: Int
}
