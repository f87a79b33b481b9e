import numpy as np

from gadlib.cache import Cache, digest
from gadlib.hyperparameters import GadHyperparameters
from gadlib.reactions import Start
from gadlib.searches import failed
from gadlib.state import Status

START = Start("a", "H2", "train", "ts", None, np.array([1, 1]), np.ones((2, 3)), 1)
RECORD = failed(START, Status.OUT_OF_STEPS, "as it is")
CALCULATOR = {"name": "scine", "functional": "DFTB0"}


def test_a_record_comes_back_in_another_process_as_it_was(tmp_path):
    Cache(tmp_path).put("one", RECORD)
    other = Cache(tmp_path)
    assert other.get("one") == RECORD
    assert other.get("two") is None
    Cache(tmp_path).put("two", RECORD)
    assert other.get("two") == RECORD


def test_a_torn_line_is_passed_over_until_it_is_whole(tmp_path):
    Cache(tmp_path).put("one", RECORD)
    (path,) = tmp_path.glob("*.jsonl")
    text = path.read_text()
    path.write_text(text[:50])
    reader = Cache(tmp_path)
    assert reader.get("one") is None
    path.write_text(text)
    assert reader.get("one") == RECORD


def test_what_cannot_be_written_is_still_remembered(tmp_path):
    (tmp_path / "file").write_text("")
    cache = Cache(tmp_path / "file" / "samples")
    cache.put("one", RECORD)
    assert cache.get("one") == RECORD


def test_the_key_holds_all_that_a_record_depends_on():
    plain = (CALCULATOR, START, GadHyperparameters(), "index1", 100)
    others = [
        (CALCULATOR | {"functional": "PM6"}, *plain[1:]),
        (*plain[:2], GadHyperparameters(dt_max=0.06), *plain[3:]),
        (*plain[:3], "strict", 100),
        (*plain[:4], 101),
    ]
    moved = Start("a", "H2", "train", "ts", None, np.array([1, 1]), np.zeros((2, 3)), 1)
    others.append((CALCULATOR, moved, *plain[2:]))
    keys = {digest(*arguments) for arguments in [plain, *others]}
    assert len(keys) == len(others) + 1
    assert digest(*plain) == digest(*plain)
