"""The flags and sizes of the core's calls are the same in C and in Python."""

import pytest
from tests.transport.compiled import needs_core

from hatchway.transport.core import flags, loading

OF_PYTHON_ALONE = {"FLAGS", "SIZE_SHIFT", "TO_PYTHON", "AS_FRAMES"}
NAMES = sorted({name for name in vars(flags) if name.isupper()} - OF_PYTHON_ALONE)


@needs_core
@pytest.mark.parametrize("name", NAMES)
def test_a_constant_is_the_same_in_the_core_and_in_python(name: str) -> None:
    assert getattr(loading.CORE, name) == getattr(flags, name)


def test_each_flag_is_a_bit_of_its_own_below_the_size() -> None:
    bits = [getattr(flags, name) for name in NAMES if not name.endswith("_SIZE")]
    assert sum(bits) & flags.FLAGS == sum(bits) == (1 << len(bits)) - 1
    assert flags.FLAGS == (1 << flags.SIZE_SHIFT) - 1
