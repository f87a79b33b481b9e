"""HIP against its real source: a small model with random weights, saved as a checkpoint.

Says nothing about the published weights, which are not at hand.
"""

import copy
import os
import pickle
import warnings
from pathlib import Path

import pytest
import torch
from ase.build import molecule
from small_hip import small_content, source_or_skip

from gadlib import calculators
from gadlib.calculators.hip import checkpoint as hip_checkpoint
from gadlib.calculators.hip import source as hip_source
from gadlib.calculators.hip.potential import Hip
from gadlib.settings.calculators import CalculatorSettings
from gadlib.settings.reading import InputError
from gadlib.systems.batch import Batch

FLOAT32 = 1e-5


@pytest.fixture(scope="module")
def source() -> Path:
    return source_or_skip()


@pytest.fixture(scope="module")
def content(source: Path) -> dict:
    return small_content(source)


@pytest.fixture(scope="module")
def checkpoint(content: dict, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("hip") / "small.ckpt"
    torch.save(content, path)
    return path


@pytest.fixture(scope="module")
def hip(checkpoint: Path, source: Path) -> Hip:
    return Hip(checkpoint, source=source, device="cpu")


def saved(content: dict, path: Path) -> Path:
    torch.save(content, path)
    return path


def batch_of(*names: str) -> Batch:
    atoms = [molecule(name) for name in names]
    for i, one in enumerate(atoms):
        one.rattle(0.05, seed=i)
    return Batch.pack([a.positions for a in atoms], [a.numbers for a in atoms])


pytestmark = pytest.mark.hip


def test_contract_is_kept(hip: Hip):
    calculators.check(hip, differentiable=False)


def test_batch_gives_the_numbers_of_each_molecule_alone(hip: Hip):
    batch = batch_of("CH3CH2OH", "H2O", "HCN", "CH3CONH2")
    together = hip(batch)
    assert together.hessian is not None
    for i in range(len(batch)):
        alone, n = hip(batch_of("CH3CH2OH", "H2O", "HCN", "CH3CONH2").take(torch.tensor([i]))), 0
        n = int(batch.n_atoms[i])
        assert alone.hessian is not None
        torch.testing.assert_close(alone.energy[0], together.energy[i], rtol=1e-5, atol=FLOAT32)
        torch.testing.assert_close(alone.forces[0], together.forces[i], rtol=1e-5, atol=FLOAT32)
        torch.testing.assert_close(alone.hessian[0], together.hessian[i], rtol=1e-5, atol=FLOAT32)
        assert not together.forces[i, n:].any()
        assert not together.hessian[i, 3 * n :].any()


def test_same_call_gives_the_same_bits_and_leaves_the_random_numbers_alone(hip: Hip):
    batch = batch_of("CH3CH2OH", "H2O")
    torch.manual_seed(1)
    first, after_first = hip(batch), torch.rand(1)
    torch.manual_seed(1)
    assert torch.equal(after_first, torch.rand(1))
    torch.manual_seed(2)
    second = hip(batch)
    assert first.hessian is not None and second.hessian is not None
    assert torch.equal(first.energy, second.energy)
    assert torch.equal(first.forces, second.forces)
    assert torch.equal(first.hessian, second.hessian)


def test_results_are_double_on_the_batch_device(hip: Hip):
    told = hip(batch_of("H2O"))
    assert told.hessian is not None
    assert {t.dtype for t in (told.energy, told.forces, told.hessian)} == {torch.float64}
    assert hip.device == told.energy.device == torch.device("cpu")


def test_pickled_it_gives_the_same_bits(hip: Hip):
    batch = batch_of("CH3CH2OH")
    again = pickle.loads(pickle.dumps(hip))
    assert torch.equal(again(batch).forces, hip(batch).forces)


def test_energy_is_divided_by_the_mean_atoms(checkpoint: Path, source: Path, hip: Hip):
    batch = batch_of("CH3CH2OH", "H2O")
    other = Hip(checkpoint, source=source, device="cpu", mean_atoms=7.0)
    expected = hip(batch).energy * hip_checkpoint.TRAINING_MEAN_ATOMS / 7.0
    torch.testing.assert_close(other(batch).energy, expected, rtol=1e-6, atol=1e-7)


def test_checkpoint_with_its_own_mean_atoms_keeps_them(content: dict, source: Path, tmp_path: Path):
    own = copy.deepcopy(content)
    own["hyper_parameters"]["model_config"]["avg_num_nodes"] = 5.0
    path = saved(own, tmp_path / "own.ckpt")
    model = hip_checkpoint.load_model(path, source, trust=False, mean_atoms=None)
    assert model.avg_num_nodes == 5.0


def test_other_elements_are_refused(hip: Hip):
    assert set(hip.unsupported({1, 6, 9, 16})) == {9, 16}
    told = hip(batch_of("H2O", "CH3Cl"))
    assert list(told.failures) == [1] and "H, C, N and O" in told.failures[1]
    assert told.energy[1].isnan() and told.energy[0].isfinite()


@pytest.mark.parametrize(
    ("positions", "reason"),
    [
        ([[0.0, 0, 0]], "cutoff"),
        ([[0.0, 0, 0], [0, 0, 9.0]], "cutoff"),
        ([[0.0, 0, 0], [0, 0, 0]], "apart"),
        ([[0.0, 0, 0], [0, 0, float("nan")]], "finite"),
    ],
)
def test_degenerate_geometries_are_failures_that_harm_nobody(hip: Hip, positions, reason: str):
    water = batch_of("H2O")
    batch = Batch.pack(
        [torch.tensor(positions), water.positions[0]], [[1] * len(positions), [8, 1, 1]]
    )
    told, alone = hip(batch), hip(water)
    assert list(told.failures) == [0] and reason in told.failures[0]
    assert told.energy[0].isnan() and told.hessian is not None and alone.hessian is not None
    torch.testing.assert_close(told.forces[1], alone.forces[0], rtol=1e-5, atol=FLOAT32)
    torch.testing.assert_close(told.hessian[1], alone.hessian[0], rtol=1e-5, atol=FLOAT32)


def test_system_that_the_model_refuses_is_found_by_halving(
    hip: Hip, monkeypatch: pytest.MonkeyPatch
):
    predict = hip._predict

    def refusing(batch: Batch, hessian: bool):
        assert not (batch.n_atoms == 3).any(), "three atoms"
        return predict(batch, hessian)

    monkeypatch.setattr(hip, "_predict", refusing)
    told = hip(batch_of("CH3CH2OH", "HCN", "H2O", "CH4"))
    assert {i: "three atoms" in reason for i, reason in told.failures.items()} == {1: True, 2: True}
    assert told.energy[[0, 3]].isfinite().all()


def test_batch_that_fills_the_memory_is_halved_for_good(hip: Hip, monkeypatch: pytest.MonkeyPatch):
    predict, sizes = hip._predict, []

    def small(batch: Batch, hessian: bool):
        sizes.append(len(batch))
        if len(batch) > 2:
            raise torch.OutOfMemoryError("full")
        return predict(batch, hessian)

    monkeypatch.setattr(hip, "_predict", small)
    monkeypatch.setattr(hip._in_halves, "capacity", 100)
    batch = batch_of("CH4", "HCN", "H2O", "CH4")
    assert not hip(batch).failures and not hip(batch).failures
    assert sizes == [4, 2, 2, 2, 2]


class Malicious:
    def __reduce__(self):
        return os.mkdir, ("owned",)


def test_malicious_pickle_is_refused_by_name_and_does_not_run(
    content: dict, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    path = saved(content | {"callbacks": Malicious()}, tmp_path / "evil.ckpt")
    with pytest.raises(InputError, match=r"posix\.mkdir.*--trust-checkpoint"):
        Hip(path, source=source, device="cpu")
    assert not Path("owned").exists()
    Hip(path, source=source, device="cpu", trust=True)
    assert Path("owned").exists()


def test_weights_of_another_model_are_refused(content: dict, source: Path, tmp_path: Path):
    fewer = copy.deepcopy(content)
    name = next(iter(fewer["state_dict"]))
    fewer["state_dict"]["potential.extra"] = fewer["state_dict"].pop(name)
    with pytest.raises(InputError, match="does not fit the model"):
        Hip(saved(fewer, tmp_path / "fewer.ckpt"), source=source, device="cpu")
    other = copy.deepcopy(content)
    other["state_dict"] = {"model.weight": torch.zeros(1)}
    with pytest.raises(InputError, match=r"model\.weight, expected names"):
        Hip(saved(other, tmp_path / "other.ckpt"), source=source, device="cpu")
    wider = copy.deepcopy(content)
    wider["hyper_parameters"]["model_config"]["sphere_channels"] = 32
    with pytest.raises(InputError, match="does not fit the model"):
        Hip(saved(wider, tmp_path / "wider.ckpt"), source=source, device="cpu")


@pytest.mark.parametrize("what", [b"not a checkpoint", b"", {"weights": 1}, [1, 2]])
def test_files_that_are_no_checkpoint_are_refused(source: Path, tmp_path: Path, what):
    path = tmp_path / "odd.ckpt"
    if isinstance(what, bytes):
        path.write_bytes(what)
    else:
        torch.save(what, path)
    with pytest.raises(InputError, match=r"odd\.ckpt"):
        Hip(path, source=source, device="cpu")


def test_another_model_is_refused_by_name(content: dict, source: Path, tmp_path: Path):
    other = copy.deepcopy(content)
    other["hyper_parameters"]["model_config"]["name"] = "LEFTNet"
    with pytest.raises(InputError, match="LEFTNet"):
        Hip(saved(other, tmp_path / "left.ckpt"), source=source, device="cpu")


def test_dense_graph_is_the_compiled_one(source: Path):
    nn = pytest.importorskip("torch_geometric.nn")
    positions = torch.randn(40, 3, generator=torch.Generator().manual_seed(0)) * 2
    owner = torch.arange(2).repeat_interleave(20)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            edges = nn.radius_graph(positions, 3.0, owner, max_num_neighbors=40)
    except ImportError as error:
        pytest.skip(f"no compiled graph functions: {error}")
    dense = hip_source.radius_graph(positions, 3.0, owner, max_num_neighbors=40)
    assert set(map(tuple, edges.T.tolist())) == set(map(tuple, dense.T.tolist()))


def test_registry_builds_it_from_settings_and_names_the_checkpoint_by_content(
    checkpoint: Path, source: Path
):
    settings = CalculatorSettings(
        calculator="hip", checkpoint_path=str(checkpoint), hip_source=str(source), device="cpu"
    )
    assert isinstance(calculators.build(settings), Hip)
    identity = calculators.identity(settings)
    assert identity["checkpoint_path"] == hip_checkpoint.digest(checkpoint)
    assert not identity.keys() & {"device", "threads", "hip_source", "trust_checkpoint"}


def test_neither_source_path_nor_sph_harm_is_left_behind(hip: Hip, source: Path):
    import sys

    import scipy.special

    assert str(source) not in sys.path
    if scipy.__version__ >= "1.17":
        assert not hasattr(scipy.special, "sph_harm")
