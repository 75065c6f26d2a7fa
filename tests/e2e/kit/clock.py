"""Programs whose clock is wrong, by libfaketime."""
import glob

import pytest

from kit import programs

IN_1970 = "1970-01-02 00:00:00"


def at(when):
    """The environment of a program for which it is that time, or so much later as "+7h"; its uptime is right."""
    library = glob.glob("/usr/lib/*/faketime/libfaketime.so.1")
    if not library:
        pytest.skip("libfaketime is not installed")
    return programs.environment(LD_PRELOAD=library[0], FAKETIME=when, TZ="UTC", FAKETIME_DONT_FAKE_MONOTONIC="1",
                                FAKETIME_FORCE_MONOTONIC_FIX="0",  # or its pthread_cond_timedwait waits by the wrong clock
                                ASAN_OPTIONS="verify_asan_link_order=0")
