import Crypto
import FoundationEssentials
import SwiftASN1
import X509

/// A self-signed certificate for loopback, made at start, with its key.
struct TLSIdentity {
  let certificatePEM: String
  let keyPEM: String
}

extension TLSIdentity {
  init(_ kind: DevTenant.CertificateKind) throws {
    let key = P256.Signing.PrivateKey()
    let name = try DistinguishedName { CommonName("token-broker development tenant") }
    let names: [GeneralName] =
      kind == .wrongHost
      ? [.dnsName("other.example.com")]
      : [
        .dnsName("localhost"), .ipAddress(ASN1OctetString(contentBytes: [127, 0, 0, 1])),
        .ipAddress(ASN1OctetString(contentBytes: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1])),
      ]
    let day = 86400.0
    let start = Date.now.addingTimeInterval(kind == .expired ? -2 * day : -60)
    let days = kind == .expired ? 1.0 : kind == .aging ? 5 : 30
    // What verifiers that hold to RFC 5280 §4.2.1 ask of an authority, as Python's do from 3.13 on.
    let identifier = SubjectKeyIdentifier(hash: Certificate.PublicKey(key.publicKey))
    let certificate = try Certificate(
      version: .v3, serialNumber: Certificate.SerialNumber(), publicKey: Certificate.PublicKey(key.publicKey),
      notValidBefore: start, notValidAfter: start.addingTimeInterval(days * day), issuer: name, subject: name,
      extensions: try Certificate.Extensions {
        Critical(BasicConstraints.isCertificateAuthority(maxPathLength: nil))
        Critical(KeyUsage(digitalSignature: true, keyCertSign: true))
        identifier
        AuthorityKeyIdentifier(keyIdentifier: identifier.keyIdentifier)
        SubjectAlternativeNames(names)
      },
      issuerPrivateKey: Certificate.PrivateKey(key))
    self.init(certificatePEM: try certificate.serializeAsPEM().pemString, keyPEM: key.pemRepresentation)
  }
}
