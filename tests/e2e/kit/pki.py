"""A certificate authority for one test, valid today, and its files."""
import datetime

import net_pki  # of tests/cli; conftest.py puts it on the path

DAY = datetime.timedelta(days=1)
NOW = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None, microsecond=0)
HOST = "device.test"


class Authority(net_pki.Authority):
    """A root, or an intermediate where `issuer` is given, for a year around today."""

    def __init__(self, common_name, issuer=None, start=NOW - 180 * DAY, end=NOW + 180 * DAY, key=None, critical=None):
        super().__init__(common_name, issuer, start, end, key, critical)
        self.common_name = common_name

    def cross_signed_by(self, other):
        """The same name and key in a certificate that `other` has issued."""
        return Authority(self.common_name, other, key=self.key)

    def leaf(self, *names, start=NOW - 30 * DAY, end=NOW + 30 * DAY, **how):
        return super().leaf(*(names or (HOST, "127.0.0.1")), start=start, end=end, **how)

    def write(self, path):
        net_pki.write_pem(path, self.cert)
        return path


def write_chain(folder, name, leaf_and_key, *authorities):
    """What a server needs: a file with the leaf and these authorities, and one with its key."""
    leaf, key = leaf_and_key
    chain_file, key_file = folder / f"{name}.pem", folder / f"{name}.key"
    net_pki.write_pem(chain_file, leaf, *(a.cert for a in authorities))
    net_pki.write_key(key_file, key)
    return chain_file, key_file
