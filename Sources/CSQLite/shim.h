// libsqlite3, a database in a file.
#pragma once
#include <sqlite3.h>

// The bytes are copied. SQLITE_TRANSIENT, which says so, is a cast that Swift cannot read.
static inline int csqlite_bind_blob(sqlite3_stmt *statement, int place, const void *bytes, int count) {
  return sqlite3_bind_blob(statement, place, bytes, count, SQLITE_TRANSIENT);
}
