#include "CArguments.h"

static int count;
static char **values;

// glibc calls constructors with the arguments of main(). Swift's own CommandLine looks for them in memory, behind the
// environment, with the help of /proc: where a library has set a variable before, or /proc is not there, it finds none.
__attribute__((constructor)) static void keep(int argc, char **argv) {
  count = argc;
  values = argv;
}

int carguments_count(void) { return count; }

const char *carguments_at(int index) { return values[index]; }
