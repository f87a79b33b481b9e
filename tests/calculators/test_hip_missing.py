"""What HIP says where something is missing; needs neither its source nor its packages."""

import types
from pathlib import Path

import pytest
import torch

from gadlib import calculators
from gadlib.calculators.device import find_device
from gadlib.calculators.hip import potential, source
from gadlib.settings.reading import InputError


@pytest.fixture(autouse=True)
def no_source(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("HIP_SOURCE", raising=False)


def test_missing_source_is_told_with_where_to_get_it():
    with pytest.raises(InputError, match=r"git clone.*HIP_SOURCE"):
        calculators.get("hip", checkpoint_path="hip_v2.ckpt")


def test_folder_that_is_no_checkout_is_told(tmp_path: Path):
    with pytest.raises(InputError, match=r"no nets/.*expected a checkout"):
        source.find_source(str(tmp_path))


def test_missing_checkpoint_is_told_with_where_to_get_it(tmp_path: Path):
    for path in (None, tmp_path / "hip_v2.ckpt"):
        with pytest.raises(InputError, match=r"hip_v2\.ckpt.*huggingface"):
            potential.find_checkpoint(path)


def test_missing_packages_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(source, "PACKAGES", {"no_such_module": "no-such-package==1"})
    assert source.missing_packages() == ["no-such-package==1"]
    with pytest.raises(ImportError, match="no-such-package==1"):
        source.model_class(tmp_path)
    assert "no-such-package==1" in potential.missing(None)[0]


@pytest.mark.parametrize("name", ["gpu", "cuda:x", "cpu:1:2", "mps", ""])
def test_unknown_device_is_refused(name: str):
    with pytest.raises(InputError, match="auto, cpu, cuda"):
        find_device(name)


def test_gpu_that_is_not_there_is_told():
    count = torch.cuda.device_count()
    with pytest.raises(InputError, match=f"sees {count} GPUs"):
        find_device(f"cuda:{count}")


def test_auto_is_the_cpu_without_a_gpu(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert find_device("auto") == torch.device("cpu")


def test_dense_graph_joins_close_pairs_of_the_same_system():
    positions = torch.tensor([[0.0, 0, 0], [1, 0, 0], [9, 0, 0], [0, 0, 0], [0.5, 0, 0]])
    owner = torch.tensor([0, 0, 0, 1, 1])
    edges = source.radius_graph(positions, 2.0, owner)
    assert edges.T.tolist() == [[1, 0], [0, 1], [4, 3], [3, 4]]  # (source, target)
    data = types.SimpleNamespace(batch=owner, natoms=torch.tensor([3, 2]))
    assert source.compute_neighbors(data, edges).tolist() == [2, 2]


def test_dense_graph_keeps_the_first_neighbours_of_each_target():
    line = torch.arange(5.0)[:, None] * torch.tensor([[0.1, 0.0, 0.0]])
    sources, targets = source.radius_graph(line, 1.0, max_num_neighbors=2)
    assert sources[targets == 4].tolist() == [0, 1]
    assert targets.bincount().tolist() == [2] * 5
