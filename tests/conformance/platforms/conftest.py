"""One stage for the tests of a module and an adapter; every test leaves a line in the record."""

import os
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio

from tests.conformance.platforms.bot import Bot
from tests.conformance.platforms.model import ModelServer
from tests.conformance.platforms.services import available, service_of
from tests.conformance.platforms.stage import Stage

RECORD = "SIGNOFF_CONFORMANCE"
TEST_SECONDS = 120
_HERE = Path(__file__).parent


def pytest_collection_modifyitems(items):
    for item in items:
        if _HERE in item.path.parents:
            item.add_marker(pytest.mark.proof)
            item.add_marker(pytest.mark.timeout(TEST_SECONDS), append=False)


@pytest.fixture(scope="module", params=available() or [pytest.param("", marks=pytest.mark.skip("no adapter yet"))])
def adapter(request):
    return request.param


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(adapter, tmp_path_factory):
    service, model = service_of(adapter), ModelServer()
    await service.start()
    await model.start()
    bot = Bot(service, tmp_path_factory.mktemp(adapter), model.environ())
    await bot.start()
    made = Stage(service=service, model=model, bot=bot)
    await made.quiet()
    yield made
    await model.stop()
    code = await bot.stop()
    await service.stop()
    assert code in {0, -9}, bot.output()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.when == "call":
        item.stash[_PASSED] = report.passed
    return report


_PASSED = pytest.StashKey[bool]()


@pytest.fixture(autouse=True)
def tally(request, stage):
    """Nothing twice, nothing lost, no trouble in the log; kept for the table."""
    stage.begin()
    yield
    passed = request.node.stash.get(_PASSED, False)
    record = stage.record(request.module.GROUP, request.node.originalname, passed=passed)
    if file := os.environ.get(RECORD):
        with Path(file).open("ab") as lines:
            lines.write(msgspec.json.encode(record) + b"\n")
    if passed:
        assert record.duplicates == 0, record
        assert record.lost == 0, record
        assert not (troubles := stage.troubles()), "\n".join(troubles)


@pytest_asyncio.fixture(loop_scope="module", autouse=True)
async def alive(stage):
    """A test that left the bot dead, or the service broken, spoils no other one."""
    yield
    stage.service.faults.clear()
    stage.model.gate.set()
    await stage.service.reconnectable()
    if stage.bot.dead:
        await stage.bot.start()
