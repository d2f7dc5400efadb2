import Testing

/// Tests of the real binary: what it answers. One at a time, and one of `LoadTests` beside it: each starts several
/// processes, and the machine may have two cores.
@Suite(.serialized, .timeLimit(.minutes(5))) enum IntegrationTests {}

/// Tests of the real binary: what it bears, of callers, attackers, tenants and stores that fail. One at a time, because
/// many measure what it costs.
@Suite(.serialized, .timeLimit(.minutes(5))) enum LoadTests {}
