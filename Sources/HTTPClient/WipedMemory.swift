import CCurl
import Glibc

/// Memory for libcurl that is overwritten when it is let go: a request's body, and with it the secret, is copied into
/// buffers on its way, and freed as it stands there.
enum WipedMemory {
  /// `curl_global_init`, which may run once only; false if it failed.
  static func initialiseCurl() -> Bool {
    unsafe curl_global_init_mem(Int(CURL_GLOBAL_ALL), allocate, free, resize, duplicate, allocateZeroed) == CURLE_OK
  }

  private static let allocate: curl_malloc_callback = { unsafe malloc($0) }
  private static let allocateZeroed: curl_calloc_callback = { unsafe calloc($0, $1) }
  private static let duplicate: curl_strdup_callback = { text in unsafe text.flatMap { unsafe strdup($0) } }

  private static let free: curl_free_callback = { memory in
    guard let memory = unsafe memory else { return }
    unsafe explicit_bzero(memory, malloc_usable_size(memory))
    unsafe Glibc.free(memory)
  }

  /// Never by realloc, which may move the bytes and leave them behind, too.
  private static let resize: curl_realloc_callback = { memory, size in
    guard let old = unsafe memory else { return unsafe malloc(size) }
    let held = unsafe malloc_usable_size(old)
    if size > 0, size <= held { return unsafe old }
    guard let new = unsafe malloc(size) else { return nil }
    unsafe memcpy(new, old, min(held, size))
    unsafe free(old)
    return unsafe new
  }
}
