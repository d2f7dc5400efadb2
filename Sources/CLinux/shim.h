// The Linux calls that Swift's Glibc module leaves out.
//
// _GNU_SOURCE must stay undefined here: with it, glibc's types would differ from those of the Glibc module.
#pragma once
#include <link.h>
#include <malloc.h>
#include <pthread.h>
#include <spawn.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

// glibc declares accept4 under _GNU_SOURCE only.
extern int accept4(int, struct sockaddr *, socklen_t *, int);

// Nor is this one for Swift to see, though glibc has had it since 2.34.
extern int posix_spawn_file_actions_addclosefrom_np(posix_spawn_file_actions_t *, int);

// What SO_PEERCRED fills in: glibc's struct ucred, which is there under _GNU_SOURCE only.
struct clinux_credentials {
  pid_t process;
  uid_t user;
  gid_t group;
};

// Cores this process may run on, 0 when unknown. cpu_set_t too is behind _GNU_SOURCE; this is the call beneath it.
static inline int clinux_affinity_cores(void) {
  unsigned long mask[128] = {0};
  long bytes = syscall(SYS_sched_getaffinity, 0, sizeof mask, mask);
  int cores = 0;
  for (long i = 0; i < bytes / (long)sizeof mask[0]; i++) cores += __builtin_popcountl(mask[i]);
  return cores;
}

static inline void *clinux_pass(void *gate) {
  pthread_mutex_lock((pthread_mutex_t *)gate);
  pthread_mutex_unlock((pthread_mutex_t *)gate);
  return 0;
}

// Whether so many threads, at most 1,024, can be had at a time. Each waits until the last is there, and has ended when
// this returns.
static inline bool clinux_can_start_threads(int wanted) {
  pthread_t threads[1024];
  pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
  int started = 0;
  pthread_attr_t small;
  pthread_attr_init(&small);
  pthread_attr_setstacksize(&small, 64 << 10);
  pthread_mutex_lock(&gate);
  while (started < wanted && !pthread_create(&threads[started], &small, clinux_pass, &gate)) started++;
  pthread_mutex_unlock(&gate);
  for (int i = 0; i < started; i++) pthread_join(threads[i], 0);
  return started == wanted;
}

// prctl is variadic, which Swift cannot call.
static inline int clinux_forbid_core_dumps(void) { return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); }

// How glibc's struct dl_phdr_info begins, which too is there under _GNU_SOURCE only: where an object is loaded.
struct clinux_object {
  ElfW(Addr) address;
  const char *name;
  const ElfW(Phdr) *headers;
  ElfW(Half) count;
};
extern int dl_iterate_phdr(int (*)(struct clinux_object *, size_t, void *), void *);

static inline int clinux_unmap_constants(struct clinux_object *object, size_t size, void *unused) {
  long page = sysconf(_SC_PAGESIZE);
  for (int i = 0; i < object->count; i++) {
    const ElfW(Phdr) *part = &object->headers[i];
    if (part->p_type != PT_LOAD || part->p_flags & PF_W) continue;
    ElfW(Addr) start = (object->address + part->p_vaddr) & -page, end = object->address + part->p_vaddr + part->p_memsz;
    madvise((void *)start, end - start, MADV_DONTNEED);
  }
  return 0;
}

// Takes the code and constants of the program and its libraries out of the process's memory, until they are used again.
// They are as they are in their files, for nothing writes to them, but whoever has set a breakpoint (a uprobe), which
// goes. No library is loaded meanwhile (dl_iterate_phdr(3)).
static inline void clinux_unmap_all_constants(void) { dl_iterate_phdr(clinux_unmap_constants, 0); }
