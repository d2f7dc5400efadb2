// Loaded into programs that run under the thread sanitizer (run.sh), in place of a part of Swift's runtime.
//
// Swift's Mutex is taken and given back by atomic operations in the code of whoever uses it, which the compiler has
// instrumented. Only where one must be waited for, that is done in the runtime's library, which is not instrumented: the
// sanitizer does not see it taken then, and takes what it guards for unguarded. So the wait is done here, and told.
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>

// There in programs that are instrumented.
__attribute__((weak)) void __tsan_acquire(void *);

// Synchronization._MutexHandle._lockSlow(UInt32) of Swift 6: 0 is a free mutex, anything else the thread that holds it.
void lock_slow(uint32_t thread, __attribute__((swift_context)) _Atomic uint32_t *mutex) __attribute__((swiftcall))
__asm__("$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF");

__attribute__((swiftcall)) void lock_slow(
  uint32_t thread, __attribute__((swift_context)) _Atomic uint32_t *mutex) {
  for (uint32_t none = 0; !atomic_compare_exchange_weak(mutex, &none, thread); none = 0) sched_yield();
  if (__tsan_acquire) __tsan_acquire((void *)mutex);
}
