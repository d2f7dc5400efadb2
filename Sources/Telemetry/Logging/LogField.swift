/// The fields of log lines, beside `time` (RFC 3339, in UTC), `level` and `message`, which each has. Whoever reads logs
/// by program relies on the names, so they stay, and so does which values are numbers; all others are texts. A line
/// with a field that is not listed here fails in debug builds, and so in tests.
enum LogField: String, CaseIterable {
  // MARK: A request, and what it causes

  /// The request's `X-Request-Id`, or what it was given in place of one. A mint has that of the request that caused it.
  case requestID = "request_id"
  /// As in the request's `traceparent`.
  case traceID = "trace_id"
  /// The sender's span; a mint has the span that the tenant was told.
  case spanID = "span_id"
  /// As the request has them.
  case method, path
  /// Who sent it, or what the server refused: an address and a port, of which a proxy may have told, or a Unix user.
  case peer
  /// What its sender's certificate shows: several names with spaces between them, and no more than 300 characters.
  case certificateURIs = "certificate_uris"
  case certificateDNSNames = "certificate_dns_names"
  case certificateSubject = "certificate_subject"
  /// The HTTP status that was answered.
  case status
  /// How long it took, in whole milliseconds.
  case durationMS = "duration_ms"

  // MARK: A token

  /// The name of the client in the configuration.
  case client
  case audience, scope, organization
  /// The name of the caller, or a client id of the tenant's own.
  case caller
  /// Where credentials come from that were never accepted: a network address, a Unix user or the subject of a
  /// certificate.
  case source
  /// Seconds.
  case expiresIn = "expires_in"
  /// Tokens that were thrown away on demand, that were spared, and that the tenant is asked for because of it at most.
  case dropped, kept, mints
  /// Tokens of a client's month: minted, and allotted.
  case used, limit
  /// The key that a token is signed with.
  case keyID = "key_id"

  // MARK: What went wrong

  /// A word for programs, as in answers.
  case error
  /// A sentence.
  case reason
  /// What an audience is called that the caller may have, and probably meant; and how it differs from what was asked.
  case nearestAudience = "nearest_audience"
  case difference
  /// What the tenant answered.
  case upstreamStatus = "upstream_status"
  /// What the tenant calls the request in its own log.
  case upstreamRequestID = "upstream_request_id"
  /// `error` and `error_description` of its refusal.
  case upstreamError = "upstream_error"
  case upstreamErrorDescription = "upstream_error_description"
  /// What a token that is refused says of itself: `iss`, `aud`, `alg` and `kid`.
  case tokenIssuer = "token_issuer"
  case tokenAudience = "token_audience"
  case tokenAlgorithm = "token_algorithm"
  case tokenKeyID = "token_key_id"
  case tokenType = "token_type"
  /// The issuer that the tenant's metadata names, where it should be another.
  case metadataIssuer = "metadata_issuer"
  /// What libcurl says of a connection that has failed.
  case connectionError = "connection_error"
  /// Lines like this one that were left out since the last.
  case repeats
  /// How many failures there were before it went well again, and for how many seconds.
  case failures, seconds
  /// Denials that were left out, because there were too many.
  case denialsNotLogged = "denials_not_logged"
  /// Requests of proxies without a token that were left out, because there were too many.
  case requestsNotLogged = "requests_not_logged"

  // MARK: The store

  /// Its URL, without user and password.
  case store
  /// How many it has, or was given back, and how many of a damaged file's could be read.
  case values
  case valuesKept = "values_kept"
  /// What it is asked to do: `load`, `claim`, `save` or `remove`.
  case operation
  /// Where a file went that was set aside.
  case movedTo = "moved_to"
  /// The permissions that its file had.
  case mode

  // MARK: Certificates and keys

  /// What a certificate is for, as in the label of its metric; for whom it is; and how long it is good.
  case use, names
  case expiresAt = "expires_at"
  case daysLeft = "days_left"
  /// Whose keys tokens are checked with.
  case issuer

  // MARK: The process

  /// Where it listens, as the configuration would have it.
  case addresses, admin, address
  /// How many there are; 0 where whoever can connect is served.
  case callers
  /// Each with its issuer.
  case clients
  case workers, version
  /// Those of others that it has loaded, and their versions.
  case libraries
  case signal
  /// A setting of the configuration, and a file or a place in one.
  case key, file
  /// What a person can do about it.
  case remedy
  /// Limits that are lower than configured: connections, and open files.
  case connections, files
  /// Log lines that nobody has read in time.
  case linesLost = "lines_lost"
}

extension LogField {
  /// The names of those whose values are whole numbers.
  static let numbers = Set(
    [
      status, durationMS, expiresIn, dropped, kept, mints, used, limit, upstreamStatus, repeats, failures, seconds,
      denialsNotLogged,
      requestsNotLogged, values, valuesKept, daysLeft, callers, workers, connections, files, linesLost,
    ].map(\.rawValue))
}
