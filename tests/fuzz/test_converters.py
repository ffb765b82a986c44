"""The short form of the converters' fuzzing."""

from pytest_twisted import ensureDeferred

from tests.fuzz.converters import fuzz
from tests.unit.converters.conftest import service  # noqa: F401 - a fixture


@ensureDeferred
async def test_no_mutation_of_the_library_s_scripts_ends_a_worker(service):  # noqa: F811
    seen = await fuzz(service, 400, seed=7)
    assert sum(seen.values()) == 400
    assert seen["converted"] > 50 and len(seen) > 4, "the mutations are too mild or too wild to show anything"
