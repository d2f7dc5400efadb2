// OpenSSL, with those of its calls that are macros made functions for Swift.
#pragma once
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

static inline long copenssl_set_min_tls12(SSL_CTX *c) { return SSL_CTX_set_min_proto_version(c, TLS1_2_VERSION); }
static inline long copenssl_set_mode(SSL_CTX *c, long m) { return SSL_CTX_set_mode(c, m); }
