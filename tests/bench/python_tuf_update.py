"""A cold update with python-tuf's client: URL ROOT FOLDER TARGET. What part_update.py measures."""
import os
import sys

from tuf.ngclient import Updater


def main(url, root_file, folder, target):
    os.makedirs(os.path.join(folder, "metadata"))
    with open(root_file, "rb") as f:
        root = f.read()
    places = (os.path.join(folder, "metadata"), f"{url}/metadata/", folder, f"{url}/targets/")
    try:
        updater = Updater(*places, bootstrap=root)
    except TypeError:  # before version 6 the first root is a file
        with open(os.path.join(folder, "metadata", "root.json"), "wb") as f:
            f.write(root)
        updater = Updater(*places)
    updater.refresh()
    info = updater.get_targetinfo(target)
    updater.download_target(info, os.path.join(folder, "bundle.pem"))


main(*sys.argv[1:])
