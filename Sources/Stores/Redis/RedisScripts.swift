/// What must happen in one step, in Lua. Redis runs a script as a whole or not at all.
enum RedisScripts {
  /// KEYS: the claim. ARGV: the fencing value, the lease in milliseconds.
  /// Answers with -1 if the claim is granted, or was to the same value before, else with how long it is taken for.
  static let claim = """
    if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return -1 end
    if redis.pcall('GET', KEYS[1]) == ARGV[1] then return -1 end
    return math.max(0, redis.call('PTTL', KEYS[1]))
    """

  /// KEYS: the claim. ARGV: the fencing value, the lease in milliseconds. Answers with 1 if it is still ours.
  static let renew = """
    if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
    return redis.call('PEXPIRE', KEYS[1], ARGV[2])
    """

  /// KEYS: the claim, the entries. ARGV: the fencing value, the channel, the claim's name for it, then for
  /// each entry its value and its lifetime in milliseconds.
  /// Whatever becomes of the entries, such as in a full memory, the claim is given up. Where nobody holds it any more,
  /// because it has run out or the memory was wiped, only names without a value get one: what is there is newer.
  /// Answers with 2 where all is well, but nobody could be told of it.
  static let settle = """
    local holder = redis.call('GET', KEYS[1])
    if holder and holder ~= ARGV[1] then return 0 end
    local failure
    local entries = (#ARGV - 3) / 2
    for index = 1, entries do
      local set = {'SET', KEYS[index + 1], ARGV[2 * index + 2], 'PX', ARGV[2 * index + 3]}
      if not holder then table.insert(set, 'NX') end
      local result = redis.pcall(unpack(set))
      if result and result.err then failure = result end
    end
    if holder then redis.call('DEL', KEYS[1]) end
    local told = redis.pcall('PUBLISH', ARGV[2], ARGV[3])
    if not failure and type(told) == 'table' then return 2 end
    return failure or 1
    """

  /// `settle`'s answer where nobody could be told.
  static let silent: Int64 = 2

  /// KEYS: the count. ARGV: how many are added, what it is at least before that, its lifetime in milliseconds.
  /// Answers with what it is then.
  static let count = """
    local there = tonumber(redis.call('GET', KEYS[1]) or 0) or 0
    local total = math.max(there, tonumber(ARGV[2])) + tonumber(ARGV[1])
    if total > there then redis.call('SET', KEYS[1], string.format('%.0f', total), 'PX', ARGV[3]) end
    return total
    """
}
