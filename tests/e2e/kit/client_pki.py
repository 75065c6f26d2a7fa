"""Keys, requests and certificates of devices and of CAs."""
import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DER, PEM = serialization.Encoding.DER, serialization.Encoding.PEM
END = datetime.datetime(2049, 12, 31, 23, 59, 59)


def new_key():
    return ec.generate_private_key(ec.SECP256R1())


def _name(cn):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, cn)])


def certificate(cn, key, issuer=None, issuer_key=None, is_ca=False, end=END, public_key=None,
                begin=None):
    """Of `key`, or of `public_key`; signed by `issuer_key`, or by itself."""
    now = datetime.datetime.utcnow()
    builder = (x509.CertificateBuilder().subject_name(_name(cn))
               .issuer_name(issuer.subject if issuer is not None else _name(cn))
               .public_key(public_key or key.public_key())
               .serial_number(x509.random_serial_number())
               .not_valid_before(begin or now - datetime.timedelta(hours=1)).not_valid_after(end))
    if is_ca:
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
    return builder.sign(issuer_key or key, hashes.SHA256())


def self_signed(cn, **more):
    key = new_key()
    return certificate(cn, key, **more), key


def pem(cert):
    return cert.public_bytes(PEM).decode()


def sha256(cert):
    return cert.fingerprint(hashes.SHA256()).hex()


def csr(key, cn="another-device"):
    request = x509.CertificateSigningRequestBuilder().subject_name(_name(cn)).sign(key,
                                                                                    hashes.SHA256())
    return request.public_bytes(PEM).decode(), request.public_bytes(DER)


def forged_csr():
    """A request for one key that another key has signed."""
    length = 75  # at most, of the algorithm and the signature behind what is signed
    while True:
        (_, ours), (_, theirs) = csr(new_key()), csr(new_key())
        if len(ours) == len(theirs):
            request = x509.load_der_x509_csr(ours[:-length] + theirs[-length:])
            if not request.is_signature_valid:
                return request.public_bytes(PEM).decode()


def renewal(key, csr_der):
    return key.sign(b"holdfast renew\0" + csr_der, ec.ECDSA(hashes.SHA256()))


def write_pair(folder, name, cert, key):
    """Both as files; cert may be PEM text."""
    text = cert if isinstance(cert, str) else pem(cert)
    cert_path, key_path = folder / f"{name}.pem", folder / f"{name}.key"
    cert_path.write_text(text)
    key_path.write_bytes(key.private_bytes(PEM, serialization.PrivateFormat.PKCS8,
                                           serialization.NoEncryption()))
    key_path.chmod(0o600)
    return cert_path, key_path


class Ca:
    def __init__(self, cn="Device CA", **more):
        self.cert, self.key = self_signed(cn, is_ca=True, **more)

    def issue(self, cn, key=None, **more):
        return certificate(cn, key, self.cert, self.key, **more)

    @property
    def pem(self):
        return pem(self.cert)

    @property
    def sha256(self):
        return sha256(self.cert)
