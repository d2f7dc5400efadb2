// Preloaded, it does what many a library does before a program begins: it sets a variable, which moves the environment.
#include <stdlib.h>

__attribute__((constructor)) static void begin(void) { setenv("SET_BY_A_LIBRARY", "1", 1); }
