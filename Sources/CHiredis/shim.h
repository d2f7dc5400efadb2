// libhiredis: the serialization protocol of Redis and Valkey (RESP2), as a formatter and a reader without I/O.
#pragma once
#include <hiredis/hiredis.h>
