"""Public X.509 suites: no answer is wrong that was right before."""
import os
from pathlib import Path

import pytest

import suites

PROGRAM = Path(os.environ["HOLDFAST_BIN"]) / "holdfast-x509-limbo"

needs_cases = pytest.mark.skipif(not suites.CASES.exists(), reason=f"the suites' cases are not in {suites.DATA}; "
                                 "HOLDFAST_TEST_DATA may name the folder above")


@pytest.fixture(scope="module")
def cases():
    return suites.load()


@needs_cases
@pytest.mark.parametrize("judge", suites.JUDGES)
def test_no_answer_is_worse_than_the_floor(cases, judge):
    answers = {judge: suites.judge(PROGRAM, judge, cases)}
    wrong = suites.wrong_of(cases, answers)
    print(suites.score(cases, answers, wrong))
    known = {row for row in suites.known_wrong() if row[0] == judge}
    print("better than the floor:", *sorted(known - wrong), sep="\n")
    assert sorted(wrong - known) == []


def test_each_kind_of_wrong_answer_has_its_reason():
    readme = (suites.HERE / "README.md").read_text()
    for kind in set(suites.known_wrong().values()):
        assert f"| `{kind}` |" in readme, kind
