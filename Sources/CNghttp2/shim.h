// libnghttp2: HTTP/2 framing and header compression.
//
// Of 1.52.0 only releases with the fixes for CVE-2023-44487 and CVE-2024-28182, as Debian's, have the limits on resets and on
// CONTINUATION frames that are used here: with another neither building nor starting gets past them. What no header
// shows: before 1.52.0-1+deb12u3 a peer can make it fail an assertion (CVE-2026-27135).
#pragma once
#include <nghttp2/nghttp2.h>

#if NGHTTP2_VERSION_NUM < 0x013400
#error "libnghttp2 1.52.0 or later is needed"
#endif
