import Testing

/// Tests of the real binary. One at a time: each starts several processes, and the machine may have two cores.
@Suite(.serialized, .timeLimit(.minutes(5))) enum IntegrationTests {}
