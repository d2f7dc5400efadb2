// libcurl, with its variadic calls given one name a type: Swift cannot call variadic C.
#pragma once
#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>
#include <malloc.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <unistd.h>

static inline const curl_version_info_data *ccurl_version_info(void) { return curl_version_info(CURLVERSION_NOW); }

static inline CURLcode ccurl_set_long(CURL *h, CURLoption o, long v) { return curl_easy_setopt(h, o, v); }
static inline CURLcode ccurl_set_string(CURL *h, CURLoption o, const char *v) { return curl_easy_setopt(h, o, v); }
static inline CURLcode ccurl_set_pointer(CURL *h, CURLoption o, const void *v) { return curl_easy_setopt(h, o, v); }
static inline CURLcode ccurl_set_write(CURL *h, curl_write_callback f) { return curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, f); }
static inline CURLcode ccurl_set_read(CURL *h, curl_read_callback f) { return curl_easy_setopt(h, CURLOPT_READFUNCTION, f); }
static inline CURLcode ccurl_set_tls(CURL *h, curl_ssl_ctx_callback f) { return curl_easy_setopt(h, CURLOPT_SSL_CTX_FUNCTION, f); }
static inline CURLcode ccurl_set_header(CURL *h, curl_write_callback f) { return curl_easy_setopt(h, CURLOPT_HEADERFUNCTION, f); }

// For connections to come (tcp(7)): how long a peer may acknowledge nothing before TCP gives it up. One at rest is asked
// for a sign of life each half minute, so that firewalls remember it, or that it is found out that they do not.
static inline int ccurl_limit_silence(void *milliseconds, curl_socket_t socket, curlsocktype purpose) {
  unsigned limit = (unsigned)(uintptr_t)milliseconds;
  int on = 1, rest = 30, repeat = 10;
  (void)purpose;
  setsockopt(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, &limit, sizeof limit);
  setsockopt(socket, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  setsockopt(socket, IPPROTO_TCP, TCP_KEEPIDLE, &rest, sizeof rest);
  setsockopt(socket, IPPROTO_TCP, TCP_KEEPINTVL, &repeat, sizeof repeat);
  return CURL_SOCKOPT_OK;
}
static inline CURLcode ccurl_set_silence(CURL *h, long milliseconds) {
  CURLcode code = curl_easy_setopt(h, CURLOPT_SOCKOPTDATA, (void *)milliseconds);
  return code == CURLE_OK ? curl_easy_setopt(h, CURLOPT_SOCKOPTFUNCTION, ccurl_limit_silence) : code;
}

static inline int ccurl_close(curl_socket_t socket) { return close(socket); }
static inline CURLcode ccurl_set_close(CURL *h, curl_closesocket_callback f, void *context) {
  CURLcode code = curl_easy_setopt(h, CURLOPT_CLOSESOCKETDATA, context);
  return code == CURLE_OK ? curl_easy_setopt(h, CURLOPT_CLOSESOCKETFUNCTION, f) : code;
}
// The socket of the handle's last connection, if that is kept; else CURL_SOCKET_BAD.
static inline curl_socket_t ccurl_kept_socket(CURL *h) {
  curl_socket_t socket = CURL_SOCKET_BAD;
  curl_easy_getinfo(h, CURLINFO_ACTIVESOCKET, &socket);
  return socket;
}

static inline CURLcode ccurl_get_long(CURL *h, CURLINFO i, long *v) { return curl_easy_getinfo(h, i, v); }
static inline CURLcode ccurl_get_pointer(CURL *h, CURLINFO i, void **v) { return curl_easy_getinfo(h, i, v); }
static inline CURLcode ccurl_get_off_t(CURL *h, CURLINFO i, curl_off_t *v) { return curl_easy_getinfo(h, i, v); }
static inline CURLcode ccurl_set_prereq(CURL *h, curl_prereq_callback f) { return curl_easy_setopt(h, CURLOPT_PREREQFUNCTION, f); }
static inline CURLMcode ccurl_multi_set_long(CURLM *h, CURLMoption o, long v) { return curl_multi_setopt(h, o, v); }
static inline CURLcode ccurl_set_blob(CURL *h, CURLoption o, const void *bytes, size_t count) {
  struct curl_blob blob = {(void *)bytes, count, CURL_BLOB_COPY};
  return curl_easy_setopt(h, o, &blob);
}

static inline CURLMcode ccurl_multi_set_socket(CURLM *h, curl_socket_callback f, void *context) {
  CURLMcode code = curl_multi_setopt(h, CURLMOPT_SOCKETDATA, context);
  return code == CURLM_OK ? curl_multi_setopt(h, CURLMOPT_SOCKETFUNCTION, f) : code;
}
static inline CURLMcode ccurl_multi_set_timer(CURLM *h, curl_multi_timer_callback f, void *context) {
  CURLMcode code = curl_multi_setopt(h, CURLMOPT_TIMERDATA, context);
  return code == CURLM_OK ? curl_multi_setopt(h, CURLMOPT_TIMERFUNCTION, f) : code;
}
// Looks at every transfer. It is deprecated, because that is slow where there are many.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
static inline CURLMcode ccurl_multi_socket_all(CURLM *h, int *running) { return curl_multi_socket_all(h, running); }
#pragma GCC diagnostic pop
