"""One thread, properties tried on the same examples in every run, and kernels that begin warm."""

import pytest
import torch
import typecheck
import warm
from hypothesis import HealthCheck, settings

torch.set_num_threads(1)
typecheck.check_arrays_alone()
settings.register_profile(
    "same_every_run",
    derandomize=True,
    deadline=None,
    max_examples=8,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("same_every_run")


def pytest_configure(config: pytest.Config) -> None:
    """The processes of pytest-xdist share what is forked; their parent runs no test itself."""
    if config.getoption("tx", None) and not hasattr(config, "workerinput"):
        warm.share()


@pytest.fixture(scope="session")
def warm_kernels():
    """Kernels that this process starts need not import anything; see `warm`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("jupyter_client.launcher.Popen", warm.Popen)
        yield


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The tests that wait for long come first, so that no process waits for the last one alone."""
    items.sort(key=lambda item: item.get_closest_marker("slurm") is None)
