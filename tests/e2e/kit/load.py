"""Threads that each do one thing again and again, at least once, until the time is over."""
import threading
import time


class Load:
    def __init__(self, seconds):
        self.end = time.monotonic() + seconds
        self.failures, self.rounds, self.threads = [], {}, []

    def add(self, act, *args):
        self.threads.append(threading.Thread(target=self._repeat, args=(act, *args)))
        self.threads[-1].start()

    def _repeat(self, act, *args):
        try:
            is_over = False
            while not is_over:
                act(*args)
                self.rounds[act.__name__] = self.rounds.get(act.__name__, 0) + 1
                is_over = time.monotonic() > self.end
        except Exception as e:
            self.failures.append((act.__name__, e))
            raise

    def wait(self):
        for thread in self.threads:
            thread.join()
        assert self.failures == []
