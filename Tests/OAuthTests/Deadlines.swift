import Basics

/// A deadline for what is expected to be done before it.
func inSeconds(_ seconds: Double) -> Instant { .now.advanced(by: .seconds(seconds)) }
