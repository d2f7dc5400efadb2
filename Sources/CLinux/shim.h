// The Linux calls that Swift's Glibc module leaves out.
//
// _GNU_SOURCE must stay undefined here: with it, glibc's types would differ from those of the Glibc module.
#pragma once
#include <spawn.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
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

// prctl is variadic, which Swift cannot call.
static inline int clinux_forbid_core_dumps(void) { return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); }
