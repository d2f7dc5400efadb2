import CYaml

/// Reads a YAML document, and so a JSON one, through libyaml's events. One document of plain data: anchors, aliases and
/// tags are refused, because a configuration that means something other than it shows is a trap.
@safe struct YAMLParser: ~Copyable {
  private let parser: UnsafeMutablePointer<yaml_parser_t>
  private let text: [UInt8]

  private static let maxDepth = 32

  /// The document's value; nil if it is empty.
  static func parse(_ bytes: [UInt8]) throws(YAMLError) -> YAMLNode? {
    let parser = YAMLParser(bytes)
    // libyaml reads from the bytes as it goes.
    let result = unsafe bytes.withUnsafeBufferPointer { bytes in
      unsafe yaml_parser_set_input_string(parser.parser, bytes.baseAddress, bytes.count)
      return Result { () throws(YAMLError) in try parser.document() }
    }
    return try result.get()
  }

  private init(_ text: [UInt8]) {
    self.text = text
    unsafe parser = .allocate(capacity: 1)
    unsafe _ = yaml_parser_initialize(parser)
  }

  deinit {
    unsafe yaml_parser_delete(parser)
    unsafe parser.deallocate()
  }

  // MARK: Events

  private struct Event {
    enum Kind {
      case streamStart, streamEnd, documentStart, documentEnd, sequenceStart, sequenceEnd, mappingStart, mappingEnd
      case scalar(String, isPlain: Bool)
    }

    let kind: Kind
    let mark: YAMLNode.Mark
  }

  private func next() throws(YAMLError) -> Event {
    var event = unsafe yaml_event_t()
    guard unsafe yaml_parser_parse(parser, &event) != 0 else { throw syntaxError }
    defer { unsafe yaml_event_delete(&event) }
    let mark = Self.mark(unsafe event.start_mark)
    let kind: Event.Kind
    switch unsafe event.type {
    case YAML_STREAM_START_EVENT: kind = .streamStart
    case YAML_STREAM_END_EVENT: kind = .streamEnd
    case YAML_DOCUMENT_START_EVENT: kind = .documentStart
    case YAML_DOCUMENT_END_EVENT: kind = .documentEnd
    case YAML_SEQUENCE_START_EVENT:
      try unsafe refuse(event.data.sequence_start.anchor, event.data.sequence_start.tag, mark)
      kind = .sequenceStart
    case YAML_SEQUENCE_END_EVENT: kind = .sequenceEnd
    case YAML_MAPPING_START_EVENT:
      try unsafe refuse(event.data.mapping_start.anchor, event.data.mapping_start.tag, mark)
      kind = .mappingStart
    case YAML_MAPPING_END_EVENT: kind = .mappingEnd
    case YAML_SCALAR_EVENT:
      let scalar = unsafe event.data.scalar
      try unsafe refuse(scalar.anchor, scalar.tag, mark)
      let bytes = unsafe UnsafeBufferPointer(start: scalar.value, count: scalar.length)
      let isPlain = unsafe scalar.style == YAML_PLAIN_SCALAR_STYLE
      kind = .scalar(unsafe String(decoding: bytes, as: UTF8.self), isPlain: isPlain)
    default: throw YAMLError(mark: mark, reason: "aliases (*name) are not supported; write the value itself")
    }
    return Event(kind: kind, mark: mark)
  }

  private func refuse(
    _ anchor: UnsafeMutablePointer<UInt8>?, _ tag: UnsafeMutablePointer<UInt8>?, _ mark: YAMLNode.Mark
  ) throws(YAMLError) {
    if unsafe anchor != nil { throw YAMLError(mark: mark, reason: "anchors (&name) are not supported") }
    if unsafe tag != nil { throw YAMLError(mark: mark, reason: "tags (!name) are not supported") }
  }

  private var syntaxError: YAMLError {
    func words(_ text: UnsafePointer<CChar>?) -> String { unsafe text.map { unsafe String(cString: $0) } ?? "" }
    let isMalformed = unsafe parser.pointee.error == YAML_READER_ERROR
    let mark = Self.mark(unsafe isMalformed ? parser.pointee.mark : parser.pointee.problem_mark)
    let fault = unsafe YAMLFault(
      problem: words(parser.pointee.problem), mark: mark, context: words(parser.pointee.context),
      contextMark: Self.mark(parser.pointee.context_mark), text: text)
    return YAMLError(mark: fault.place, reason: "this is no YAML: \(fault.words)")
  }

  private static func mark(_ mark: yaml_mark_t) -> YAMLNode.Mark {
    YAMLNode.Mark(line: mark.line + 1, column: mark.column + 1)
  }

  // MARK: Values

  private func document() throws(YAMLError) -> YAMLNode? {
    _ = try next()
    guard case .documentStart = try next().kind else { return nil }
    let root = try node(next(), depth: 0)
    _ = try next()
    let end = try next()
    guard case .streamEnd = end.kind else {
      throw YAMLError(mark: end.mark, reason: "a second document begins here; expected one")
    }
    return root
  }

  private func node(_ first: Event, depth: Int) throws(YAMLError) -> YAMLNode {
    if depth > Self.maxDepth { throw YAMLError(mark: first.mark, reason: "values are nested too deeply") }
    let content: YAMLNode.Content
    switch first.kind {
    case .scalar(let text, let isPlain): content = .scalar(text, isPlain: isPlain)
    case .sequenceStart: content = .sequence(try elements(depth))
    default: content = .mapping(try members(depth))
    }
    return YAMLNode(content: content, mark: first.mark)
  }

  private func elements(_ depth: Int) throws(YAMLError) -> [YAMLNode] {
    var elements: [YAMLNode] = []
    while true {
      let event = try next()
      if case .sequenceEnd = event.kind { return elements }
      elements.append(try node(event, depth: depth + 1))
    }
  }

  private func members(_ depth: Int) throws(YAMLError) -> [YAMLNode.Member] {
    var members: [YAMLNode.Member] = []
    while true {
      let event = try next()
      switch event.kind {
      case .mappingEnd: return members
      case .scalar(let key, _):
        members.append(YAMLNode.Member(key: key, mark: event.mark, value: try node(next(), depth: depth + 1)))
      case .mappingStart:
        throw YAMLError(
          mark: event.mark, reason: "a key must be a word; {{ … }} is what a template was to fill in, and did not")
      default: throw YAMLError(mark: event.mark, reason: "a key must be a word")
      }
    }
  }
}
