import BrokerCore

/// Writes metrics in Prometheus' text format 0.0.4 or, which differs little, in OpenMetrics 1.0.
package struct MetricsText {
  package enum Format {
    case prometheus, openMetrics

    /// What an `Accept` field asks for.
    package init(accept: String?) {
      self = accept?.contains("application/openmetrics-text") == true ? .openMetrics : .prometheus
    }

    package var contentType: String {
      switch self {
      case .prometheus: "text/plain; version=0.0.4; charset=utf-8"
      case .openMetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8"
      }
    }
  }

  enum Kind: String { case counter, gauge, histogram }

  typealias Labels = [(name: String, value: String)]

  private let format: Format
  private var text = ""

  init(_ format: Format) { self.format = format }

  /// Begins a metric. A counter's name is given without `_total`.
  mutating func begin(_ name: String, _ kind: Kind, _ help: String) {
    let family = kind == .counter && format == .prometheus ? name + "_total" : name
    text += "# HELP \(family) \(help)\n# TYPE \(family) \(kind.rawValue)\n"
  }

  mutating func add(_ name: String, _ labels: Labels = [], _ value: String) {
    text += name
    if !labels.isEmpty {
      text += "{" + labels.map { "\($0.name)=\"\(Self.escaped($0.value))\"" }.joined(separator: ",") + "}"
    }
    text += " \(value)\n"
  }

  mutating func counter(_ name: String, _ help: String, _ samples: [(labels: Labels, value: String)]) {
    begin(name, .counter, help)
    for sample in samples { add(name + "_total", sample.labels, sample.value) }
  }

  mutating func gauge(_ name: String, _ help: String, _ samples: [(labels: Labels, value: String)]) {
    begin(name, .gauge, help)
    for sample in samples { add(name, sample.labels, sample.value) }
  }

  mutating func histogram(_ name: String, _ help: String, _ samples: [(labels: Labels, value: Histogram)]) {
    begin(name, .histogram, help)
    for (labels, value) in samples {
      var total = 0
      for (bound, count) in zip(Histogram.bounds.map { "\($0)" } + ["+Inf"], value.counts) {
        total += count
        add(name + "_bucket", labels + [("le", bound)], "\(total)")
      }
      add(name + "_sum", labels, "\(value.sum)")
      add(name + "_count", labels, "\(total)")
    }
  }

  var bytes: [UInt8] { Array((format == .openMetrics ? text + "# EOF\n" : text).utf8) }

  /// By scalars: a mark that combines with a quotation mark would hide it.
  static func escaped(_ value: String) -> String {
    var text = String.UnicodeScalarView()
    for scalar in value.unicodeScalars {
      switch scalar {
      case "\\", "\"": text += ["\\", scalar]
      case "\n": text += ["\\", "n"]
      default: text.append(scalar)
      }
    }
    return String(text)
  }
}
