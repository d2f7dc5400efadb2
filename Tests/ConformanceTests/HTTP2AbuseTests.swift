import Basics
import TestSupport
import Testing

@testable import HTTPServer

/// What a peer may not do for long, each with the attack that it is known for, and the ordinary use beside it.
@Suite struct HTTP2AbuseTests {
  private static let calm = "goaway ENHANCE_YOUR_CALM"

  private func player(_ limits: Limits = Limits()) throws -> HTTP2Player {
    let player = try HTTP2Player(limits: limits)
    player.play(HTTP2Frame.greeting + HTTP2Frame.settings(isAck: true).bytes)
    return player
  }

  /// Plays until the connection is over; false if that takes more than `times`.
  private func ends(_ player: HTTP2Player, within times: Int, _ frames: (Int) -> [HTTP2Frame]) -> Bool {
    for index in 0..<times where !player.isOver { player.play(frames(2 * index + 1).flatMap(\.bytes)) }
    return player.isOver
  }

  @Test("Rapid reset (CVE-2023-44487), whether or not the requests were begun")
  func rapidReset() throws {
    for defers in [false, true] {
      let player = try player()
      player.defers = defers
      #expect(ends(player, within: 150) { [.get($0), .reset($0)] })
      #expect(player.said.last == Self.calm)
      #expect(player.requests.isEmpty, "reset in the read that brought them")
    }
  }

  @Test("Resets now and then are nothing")
  func fewResets() throws {
    let player = try player()
    // Not so many that libnghttp2's own limit, which is double ours and knows the real time only, would be met.
    let over = ends(player, within: 190) { id in
      player.wait(.milliseconds(60))
      return [.post(id), .reset(id)]
    }
    #expect(!over)
  }

  @Test("One reset for every answer is nothing")
  func earnedResets() throws {
    let player = try player()
    let over = ends(player, within: 190) { [.get(2 * $0 - 1), .post(2 * $0 + 1), .reset(2 * $0 + 1)] }
    #expect(!over)
    #expect(player.requests.count == 190)
  }

  @Test("A reset does not make room for more work: what was begun counts until it is answered")
  func work() throws {
    let player = try player()
    player.defers = true
    for id in 0..<100 {
      player.play(.get(2 * id + 1))
      // Slowly enough for the budget of resets.
      player.wait(.milliseconds(60))
      player.play(.reset(2 * id + 1))
    }
    player.play(.get(201))
    #expect(player.requests.count == 100)
    #expect(player.said.last == "reset 201 REFUSED_STREAM")
    player.answer(1)
    player.play(.get(203))
    #expect(player.requests.count == 101)
  }

  @Test("No more than 100 requests at once, and as many as that")
  func concurrency() throws {
    let player = try player()
    player.defers = true
    for id in 0..<101 { player.play(.get(2 * id + 1)) }
    #expect(player.requests.count == 100)
    #expect(player.said.last == "reset 201 REFUSED_STREAM" || player.said.last == "goaway PROTOCOL_ERROR")
  }

  @Test("Made you reset (CVE-2025-8671): whatever the frame that makes the server reset streams")
  func madeYouReset() throws {
    let wrongs: [(Int) -> [HTTP2Frame]] = [
      { [.post($0), .window($0, 0x7FFF_FFFF)] },
      { [.post($0, "/", ("content-length", "1")), .data($0, [1, 2])] },
      { [.get($0, "/", ("te", "gzip"))] }, { [.get($0, "/", ("X", "y"))] },
      { [.post($0, "/"), .headers($0, [(":path", "/")])] },
    ]
    for (index, wrong) in wrongs.enumerated() {
      let player = try player()
      #expect(ends(player, within: 60, wrong), "\(index)")
      #expect(player.said.last == Self.calm, "\(index)")
    }
  }

  @Test("Floods of frames that ask for nothing (CVE-2019-9511 to 9518)")
  func controls() throws {
    let floods: [(Int) -> [HTTP2Frame]] = [
      { _ in [.ping()] }, { _ in [.ping(isAck: true)] }, { _ in [.settings((1, 4096))] },
      { _ in [.priority(1)] }, { _ in [.window(0, 1)] },
    ]
    for (index, flood) in floods.enumerated() {
      let player = try player()
      #expect(ends(player, within: 1100, flood), "\(index)")
      #expect(player.said.last == Self.calm || player.said.last == "goaway PROTOCOL_ERROR", "\(index)")
    }
    for frame in [HTTP2Frame.data(1, []), .data(1, [], padding: 1)] {
      let player = try player()
      player.play(.post(1))
      #expect(ends(player, within: 1100) { _ in [frame] })
      #expect(player.said.last == Self.calm)
    }
  }

  @Test("Control frames at an ordinary rate are nothing")
  func fewControls() throws {
    let player = try player()
    player.play(.get(1))
    let over = ends(player, within: 3000) { _ in
      player.wait(.milliseconds(10))
      return [.ping(), .window(0, 1)]
    }
    #expect(!over)
  }

  @Test("Window updates for what was answered are nothing")
  func earned() throws {
    let player = try player()
    player.answerBytes = 10_000
    player.play(.window(0, 0x7000_0000))
    let over = ends(player, within: 2000) { id in
      let updates = [HTTP2Frame](repeating: .window(0, 4096), count: 3)
      return [.get(id)] + updates
    }
    #expect(!over)
    #expect(player.requests.count == 2000)
  }

  @Test("CONTINUATION without end (CVE-2024-27316)")
  func continuations() throws {
    for block in [[], HTTP2Frame.block([("x", "y")])] {
      let player = try player()
      player.play(.headers(1, HTTP2Frame.request("GET", "/"), endsBlock: false))
      #expect(ends(player, within: 10) { _ in [.continuation(1, block)] })
      #expect(player.said == [Self.calm] && player.requests.isEmpty)
    }
  }

  @Test(
    "A header over the limit is answered 431, and one far over it ends the connection, though it is small on the wire")
  func headers() throws {
    let player = try player()
    let value = String(repeating: "a", count: 4000)
    player.play(.headers(1, HTTP2Frame.request("GET", "/") + (0..<3).map { ("x\($0)", value) }, endsBlock: false))
    player.play(.continuation(1, HTTP2Frame.block((0..<2).map { ("y\($0)", value) }), endsBlock: true))
    #expect(player.said == ["431 1", "data 1 2 end"])
    player.play(.get(3))
    #expect(player.requests == ["get /"])

    // One field goes into the table and is then named by a byte a time (RFC 7541 §6.1).
    let entry: [UInt8] = [0x40] + HTTP2Frame.block([("x", String(repeating: "a", count: 3000))]).dropFirst()
    let bomb = HTTP2Frame.block(HTTP2Frame.request("GET", "/")) + entry + [UInt8](repeating: 0xBE, count: 10_000)
    player.play(HTTP2Frame(1, flags: 5, stream: 5, bomb))
    #expect(player.said.last == Self.calm && player.isOver)
    #expect(player.requests == ["get /"])
  }

  @Test("Many headers without a request behind them do not fill the memory")
  func heldBytes() throws {
    let player = try player()
    let value = String(repeating: "a", count: 15_000)
    for id in 0..<40 { player.play(.post(2 * id + 1, "/", ("x", value))) }
    #expect(player.session.heldBytes < HTTP2Limits.heldBytes + 2 * 16 * 1024)
    #expect(player.said.last == "reset 79 REFUSED_STREAM")
  }

  @Test("A peer that opens no window for an answer has the time for writing, and no more")
  func zeroWindow() throws {
    let limits = Limits()
    let player = try player()
    player.answerBytes = 100_000
    player.play(.settings((4, 0)), .get(1))
    #expect(player.said == ["200 1"])
    player.wait(limits.writeTimeout - .milliseconds(1))
    // Dripping does not extend it.
    player.play(.window(1, 1))
    #expect(!player.isOver)
    player.wait(.milliseconds(1))
    #expect(player.said.last == Self.calm && player.isOver)
  }

  @Test("SETTINGS have to be acknowledged in time")
  func settings() throws {
    let limits = Limits()
    let player = try HTTP2Player()
    player.play(HTTP2Frame.greeting)
    player.play(.get(1))
    player.wait(limits.headTimeout)
    #expect(player.said.last == "goaway SETTINGS_TIMEOUT" && player.isOver)
  }

  @Test("Deadlines: silence at first, a header, a body, a request, and silence later")
  func deadlines() throws {
    let limits = Limits()
    let silent = try player()
    silent.wait(limits.headTimeout)
    #expect(silent.said == ["goaway NO_ERROR"])

    let header = try player()
    header.play(.headers(1, HTTP2Frame.request("GET", "/"), endsBlock: false))
    header.wait(limits.headTimeout)
    #expect(header.said == [Self.calm])

    let body = try player()
    body.play(.post(1))
    body.wait(limits.bodyTimeout / 2)
    body.play(.data(1, [1]))
    body.wait(limits.bodyTimeout / 2)
    #expect(body.said == ["408 1", "data 1 2 end", "reset 1 NO_ERROR"])

    let request = try player()
    request.defers = true
    request.play(.get(1))
    request.wait(limits.requestTimeout)
    #expect(request.said == ["504 1", "data 1 2 end"])
    request.answer(1)
    #expect(request.said.count == 2, "answered once")
    request.wait(limits.idleTimeout - .milliseconds(1))
    #expect(!request.isOver)
    request.wait(.milliseconds(1))
    #expect(request.said.last == "goaway NO_ERROR")
  }

  @Test("Draining says so twice: the second time when the peer has heard it, or half a second later")
  func drain() throws {
    for answersPing in [true, false] {
      let player = try player()
      player.defers = true
      player.play(.get(1))
      player.session.goAway(now: player.now)
      player.play(.get(3))
      #expect(player.said == ["goaway NO_ERROR", "ping"], "both requests are still taken")
      if answersPing { player.play(.ping(isAck: true)) } else { player.wait(.milliseconds(500)) }
      #expect(player.said.last == "goaway NO_ERROR" && player.said.count == 3)
      player.play(.get(5))
      #expect(player.requests.count == 2 && !player.isOver)
      player.answer(3)
      player.answer(1)
      #expect(player.isOver)
    }
  }
}
