/// What `openssl` makes for tests: keys, authorities and certificates, as files of a directory.
package enum OpenSSL {
  /// `authority NAME [SUBJECT]` makes NAME.crt and NAME.key; `sign NAME AUTHORITY [ALTERNATIVE [DAYS]]` too, signed by
  /// one, for this machine's loopback address and two days where nothing else is said. It has expired for -1. They have
  /// what verifiers that hold to RFC 5280 §4.2.1 ask for, as Python's do from 3.13 on.
  ///
  /// `days COUNT` says those options of `openssl x509`, which from 3.4 on makes no certificate that ends before today.
  package static let functions = """
    days() {
      if [ $1 != -1 ] || ! openssl x509 -help 2>&1 | grep -q not_after; then echo -days $1; return; fi
      echo -not_before $(date -ud '2 days ago' +%Y%m%d%H%M%SZ) -not_after $(date -ud '1 day ago' +%Y%m%d%H%M%SZ)
    }
    request() { name=$1; shift; openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout $name.key "$@"; }
    authority() {
      request $1 -x509 -out $1.crt -subj /CN=${2:-$1} -days 2 -addext keyUsage=critical,digitalSignature,keyCertSign
    }
    sign() {
      request $1 -out $1.csr -subj /CN=$1
      printf '%s\\n' "subjectAltName=${3:-IP:127.0.0.1}" basicConstraints=critical,CA:FALSE \\
        keyUsage=critical,digitalSignature subjectKeyIdentifier=hash authorityKeyIdentifier=keyid > $1.ext
      openssl x509 -req -in $1.csr -CA $2.crt -CAkey $2.key -CAcreateserial -out $1.crt -extfile $1.ext \\
        $(days ${4:-2})
    }

    """

  /// Runs a shell script, with those functions, in a directory.
  package static func run(_ script: String, in directory: String) async throws {
    let made = try await ChildProcess.run("sh", ["-ec", "cd \"$0\"\n\(functions)\(script)", directory])
    if made.status != 0 { throw ChildProcess.Failure(description: made.errors) }
  }
}
