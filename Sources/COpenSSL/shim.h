// OpenSSL, with those of its calls that are macros made functions for Swift.
#pragma once
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

static inline long copenssl_set_min_tls12(SSL_CTX *c) { return SSL_CTX_set_min_proto_version(c, TLS1_2_VERSION); }
static inline long copenssl_set_mode(SSL_CTX *c, long m) { return SSL_CTX_set_mode(c, m); }
static inline void copenssl_set_read_ahead(SSL_CTX *c) { SSL_CTX_set_read_ahead(c, 1); }
static inline long copenssl_without_session_cache(SSL_CTX *c) {
  return SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
}

// ALPN (RFC 7301): of what the client offers, what comes first here; without a match the handshake fails, so that no other
// protocol's client can be led to this port.
static int copenssl_select(
  SSL *s, const unsigned char **out, unsigned char *count, const unsigned char *in, unsigned in_count, void *http2) {
  static const unsigned char offered[] = "\x02h2\x08http/1.1";
  const unsigned char *first = offered + (http2 ? 0 : 3);
  unsigned first_count = sizeof offered - 1 - (http2 ? 0 : 3);
  int status = SSL_select_next_proto((unsigned char **)out, count, first, first_count, in, in_count);
  return status == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}
static inline void copenssl_set_protocols(SSL_CTX *c, int http2) {
  SSL_CTX_set_alpn_select_cb(c, copenssl_select, http2 ? c : NULL);
}

static inline long copenssl_set_server_name(SSL *s, const char *name) { return SSL_set_tlsext_host_name(s, name); }

// Stacks are macros.
static inline int copenssl_names_count(const GENERAL_NAMES *names) { return sk_GENERAL_NAME_num(names); }
static inline const GENERAL_NAME *copenssl_name(const GENERAL_NAMES *names, int i) {
  return sk_GENERAL_NAME_value(names, i);
}
static inline long copenssl_memory(BIO *bio, char **bytes) { return BIO_get_mem_data(bio, bytes); }
static inline unsigned long copenssl_rfc2253(void) { return XN_FLAG_RFC2253; }
static inline uint64_t copenssl_set_options(SSL_CTX *c) {
  return SSL_CTX_set_options(c, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
}
