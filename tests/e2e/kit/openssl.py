"""The other opinion: what OpenSSL says of a chain."""
import subprocess

from kit.programs import environment

# Without these, openssl also trusts the system's own folder.
ONLY = ["-no-CApath", "-no-CAstore"]


def verifies(ca_file, leaf, others=(), at=None):
    """Does `openssl verify` accept the leaf, with these certificates at hand, at this time?"""
    when = ["-attime", str(int(at.timestamp()))] if at else []
    untrusted = [word for file in others for word in ("-untrusted", file)]
    done = subprocess.run(["openssl", "verify", *ONLY, "-CAfile", ca_file, *when, *untrusted, leaf],
                          capture_output=True, text=True)
    return done.returncode == 0


def connects(port, ca_file, name):
    """Does `openssl s_client` validate the server there under this name?"""
    done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{port}", *ONLY, "-CAfile",
                           ca_file, "-servername", name, "-verify_hostname", name,
                           "-verify_return_error", "-brief"], env=environment(), input="",
                          capture_output=True, text=True, timeout=60)
    return done.returncode == 0
