import BrokerCore
import CHiredis

/// Finds replies in what a server sends. The server may send anything: what is no reply, is too long or nested ends in
/// an error.
@safe struct RedisReader: ~Copyable {
  static let longestReply = 1 << 20
  static let longestArray = 4096
  /// An array within an array has few elements, and there are no more levels than CLUSTER SLOTS has.
  static let longestInnerArray = 64
  static let mostLevels = 4

  private let reader: UnsafeMutablePointer<redisReader>
  private let functions: UnsafeMutablePointer<redisReplyObjectFunctions>
  private let longestReply: Int
  /// Bytes since the last whole reply.
  private var held = 0

  init?(longestReply: Int = longestReply) {
    guard let reader = unsafe redisReaderCreate(), let own = unsafe reader.pointee.fn else { return nil }
    unsafe self.reader = reader
    self.longestReply = longestReply
    // hiredis makes room for as many elements as an array announces, so what it announces is checked first.
    unsafe functions = .allocate(capacity: 1)
    unsafe functions.initialize(to: own.pointee)
    unsafe functions.pointee.createArray = { task, count in
      guard let task = unsafe task, unsafe RedisReader.allows(Int(count), at: task),
        let own = unsafe task.pointee.privdata?.assumingMemoryBound(to: redisReplyObjectFunctions.self)
      else { return nil }
      return unsafe own.pointee.createArray(task, count)
    }
    unsafe reader.pointee.privdata = UnsafeMutableRawPointer(own)
    unsafe reader.pointee.fn = functions
  }

  private static func allows(_ count: Int, at task: UnsafePointer<redisReadTask>) -> Bool {
    var (levels, parent) = unsafe (1, task.pointee.parent)
    while let task = unsafe parent {
      levels += 1
      unsafe parent = task.pointee.parent
    }
    return levels <= mostLevels && count <= (levels == 1 ? longestArray : longestInnerArray)
  }

  deinit {
    unsafe redisReaderFree(reader)
    unsafe functions.deallocate()
  }

  mutating func feed(_ bytes: UnsafeRawBufferPointer) throws(StoreError) {
    held += bytes.count
    let start = unsafe bytes.baseAddress?.assumingMemoryBound(to: CChar.self)
    guard unsafe redisReaderFeed(reader, start, bytes.count) == REDIS_OK else { throw Self.nonsense }
  }

  /// The next reply; nil when it is not there as a whole.
  mutating func next() throws(StoreError) -> RedisReply? {
    var object: UnsafeMutableRawPointer?
    guard unsafe redisReaderGetReply(reader, &object) == REDIS_OK else { throw Self.nonsense }
    guard let object = unsafe object else {
      if held > longestReply { throw StoreError("the server's answer is too long") }
      return nil
    }
    defer { unsafe freeReplyObject(object) }
    held = unsafe reader.pointee.len - reader.pointee.pos
    return try unsafe Self.reply(object.assumingMemoryBound(to: redisReply.self).pointee)
  }

  private static let nonsense = StoreError("what answers is no Redis server")

  private static func reply(_ object: redisReply) throws(StoreError) -> RedisReply {
    switch unsafe object.type {
    case REDIS_REPLY_STRING: unsafe .string(bytes(object))
    case REDIS_REPLY_STATUS: unsafe .status(String(decoding: bytes(object), as: UTF8.self))
    case REDIS_REPLY_ERROR: unsafe .error(String(decoding: bytes(object), as: UTF8.self))
    case REDIS_REPLY_INTEGER: unsafe .integer(object.integer)
    case REDIS_REPLY_ARRAY:
      try unsafe .array(
        UnsafeBufferPointer(start: object.element, count: object.elements).map { (element) throws(StoreError) in
          guard let element = unsafe element else { return .none }
          return try unsafe reply(element.pointee)
        })
    case REDIS_REPLY_NIL: .none
    // RESP3, which nobody has asked for. Newer versions of hiredis read it too.
    default: throw nonsense
    }
  }

  private static func bytes(_ object: redisReply) -> [UInt8] {
    unsafe Array(UnsafeRawBufferPointer(start: object.str, count: object.len))
  }
}
