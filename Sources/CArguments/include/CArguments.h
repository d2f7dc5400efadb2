// The arguments that the kernel gave this process, as C's main() gets them.
#pragma once

// How many there are, with the program's name.
int carguments_count(void);

// One of them; they live as long as the process.
const char *carguments_at(int index);
