"""The fixtures of the end-to-end tests, for replays whose point is the whole device."""
import importlib.util
from pathlib import Path

END_TO_END = Path(__file__).resolve().parent.parent / "e2e" / "conftest.py"

_spec = importlib.util.spec_from_file_location("end_to_end_fixtures", END_TO_END)
_fixtures = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_fixtures)  # puts the kit on the path as well

folder = _fixtures.folder
processes = _fixtures.processes
publisher = _fixtures.publisher
server = _fixtures.server
