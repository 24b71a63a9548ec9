"""What run_command starts gets its role's credentials, and no more of the machine than its role's reach."""

import base64
import re
from pathlib import Path

import pytest

from agents.team import check
from agents.tools import credentials
from agents.tools.commands import RunCommand
from agents.tools.confines import descendants
from agents.tools.credentials import Mask, mask_of, why_not
from bots import platforms
from core.model.team import Reach
from core.ports import Workplace
from tests.integration.test_command_tool import Shop as Commands
from tests.place_kit import Place

TOKEN = "hunter-2 &ä"


ENVIRON = {"SITE_TOKEN": TOKEN, "HOME_TOKEN": "x" * 9, "TELEGRAM_BOT_TOKEN": "t"}


class Shop(Commands):
    async def limited(self, name, *, attempt="t-1:0:e0", again=False, **reach):
        tool = RunCommand(self.root, self.team, self.spool, ENVIRON)
        place = Workplace(role="devops", task="t-1", attempt=attempt, seconds_max=15, again=again, reach=Reach(**reach))
        return await tool.run({"command": name, "args": {}}, place)


@pytest.fixture
def shop(tmp_path):
    return Shop(tmp_path / "ws")


async def test_a_command_gets_its_roles_credentials(shop):
    shop.command("env", "#!/bin/sh\nenv\n")
    text = (await shop.limited("env", credentials=("SITE_TOKEN",))).text
    assert "SITE_TOKEN=[SITE_TOKEN]" in text
    assert "hunter" not in text
    assert "HOME_TOKEN" not in text
    assert "TELEGRAM" not in text


async def test_a_credential_is_taken_out_however_it_is_written(shop):
    forms = ['"$SITE_TOKEN"', '"$(printf %s "$SITE_TOKEN" | base64)"']
    shop.command("say", "#!/bin/sh\n" + "".join(f"echo {form}; echo {form} >&2\n" for form in forms) + "exit 3\n")
    result = await shop.limited("say", credentials=("SITE_TOKEN",))
    assert result.failure.what == "say failed: exit 3"
    assert result.failure.why.splitlines() == ["[SITE_TOKEN]"] * 4


async def test_a_missing_credential_is_named_and_nothing_runs(shop):
    shop.command("say", "#!/bin/sh\necho run >>runs\n")
    result = await shop.limited("say", credentials=("SITE_TOKEN", "NOPE_A", "NOPE_B"))
    assert result.failure.what == "missing credential: NOPE_A, NOPE_B"
    assert ".env" in result.failure.why
    result = await shop.limited("say", attempt="t-1:1:e0", credentials=("TELEGRAM_BOT_TOKEN",))
    assert "the engine's own" in result.failure.why
    assert shop.runs() == 0


def test_the_mask_finds_halves_beside_a_cut():
    mask = Mask({"KEY": "abcdefghij", "SHORT": "abc", "NONE": ""})
    cut = "\n[... 99 bytes left out ...]\n"
    assert mask.hide(f"x abcdef{cut}fghij y") == f"x [KEY]{cut}[KEY] y"
    assert mask.hide(f"x ab{cut}ij y") == f"x ab{cut}ij y"
    assert mask.hide("abcdefghij abc abcd") == "[KEY] [SHORT] [SHORT]d"
    assert mask.hide(base64.b64encode(b"abcdefghij").decode()) == "[KEY]"
    assert mask.hide("616263646566676869" + "6a") == "[KEY]"
    assert Mask({}).hide(f"a{cut}b") == f"a{cut}b"


def test_the_mask_leaves_out_what_is_not_a_roles():
    place = Workplace(
        role="a", task="t", attempt="e", seconds_max=1, reach=Reach(credentials=("A_KEY", "PATH", "B_KEY"))
    )
    assert mask_of(place, {"A_KEY": "secret", "PATH": "/bin"}).hide("secret /bin") == "[A_KEY] /bin"


NAMES = [
    ("SITE_TOKEN", True),
    ("A", True),
    ("site_token", False),
    ("SITE-TOKEN", False),
    ("PATH", False),
    ("LD_PRELOAD", False),
    ("PYTHONPATH", False),
    ("GIT_SSH_COMMAND", False),
    ("SIGNOFF_ANYTHING", False),
    ("ANTHROPIC_API_KEY", False),
    ("TELEGRAM_BOT_TOKEN", False),
]


@pytest.mark.parametrize(("name", "fine"), NAMES)
def test_what_the_engine_lives_on_is_no_roles(name, fine):
    assert (why_not(name) == "") == fine


def test_every_secret_of_the_engine_is_its_own():
    for known in platforms.KNOWN:
        for name in (*known.asks, *(one for group in known.needs for one in group)):
            assert why_not(name), name
    source = Path(platforms.__file__).with_name("app.py").read_text()
    for name in re.findall(r'environ\.get\("([A-Z_]+)"', source):
        assert name in credentials.OURS, name
    for name in platforms.OTHER_SECRETS:
        assert why_not(name), name


def test_check_refuses_credentials_of_the_engine(tmp_path):
    place = Place(tmp_path)
    place.edit(
        "commands: [deploy, status]", "reach: {credentials: [A_KEY, OPENAI_API_KEY]}\n    commands: [deploy, status]"
    )
    errors, _ = check(tmp_path)
    assert ["OPENAI_API_KEY cannot be a credential" in str(error) for error in errors] == [True]
    assert "the engine's own" in str(errors[0])


async def test_processor_time_is_limited(shop):
    shop.command("spin", "#!/bin/sh\nwhile :; do :; done\n")
    result = await shop.limited("spin", cpu_seconds_max=1)
    assert result.failure.what == ("spin was ended by a limit: it may use 1 s of processor time (reach.cpu_seconds)")
    shop.command("child", "#!/bin/sh\nsh -c 'while :; do :; done'\nexit $?\n")
    result = await shop.limited("child", attempt="t-1:1:e0", cpu_seconds_max=1)
    assert "processor time" in result.failure.what


HOG = "#!/usr/bin/python3 -S\nx = []\nwhile True:\n    x.append(bytearray(1 << 20))\n"


async def test_memory_is_limited(shop):
    shop.command("hog", HOG)
    result = await shop.limited("hog", memory_mb_max=64)
    assert result.failure.what == "hog was ended by a limit: it may use 64 MB of memory (reach.memory_mb)"
    assert result.failure.why.endswith("MemoryError")


HERD = """#!/usr/bin/python3 -S
import os, time
for _ in range(8):
    if os.fork() == 0:
        x = bytearray(os.urandom(1 << 20)) * 30
        time.sleep(30)
        os._exit(0)
time.sleep(30)
"""


async def test_memory_of_many_processes_is_one_sum(shop):
    shop.command("herd", HERD)
    result = await shop.limited("herd", memory_mb_max=100)
    assert result.failure.what == "herd was ended by a limit: it may use 100 MB of memory (reach.memory_mb)"


BOMB = """#!/usr/bin/python3 -S
import os, time
for _ in range(8):  # 256 at the very most: the machine is not ours alone
    os.fork()
time.sleep(30)
"""


async def test_a_fork_bomb_ends_with_all_it_made(shop, monkeypatch):
    monkeypatch.setattr("agents.tools.supervised.PROCESSES_MAX", 24)
    shop.command("bomb", BOMB)
    result = await shop.limited("bomb", attempt="t-bomb:0:e0")
    assert result.failure.what == "bomb was ended by a limit: it may have 24 processes at a time"
    assert _marked(b"SIGNOFF_ATTEMPT=t-bomb:0:e0") == []
    assert isinstance(descendants(), list)


def _marked(marker):
    return [path for path in Path("/proc").glob("[0-9]*/environ") if marker in _bytes(path)]


def _bytes(path):
    try:
        return path.read_bytes()
    except OSError:
        return b""


async def test_files_are_bounded_and_no_core_is_dumped(shop, monkeypatch):
    monkeypatch.setattr("agents.tools.supervised.FILE_BYTES_MAX", 1 << 20)
    shop.command("fill", "#!/bin/sh\nulimit -c\nexec dd if=/dev/zero of=big bs=65536 count=100 2>&1\n")
    result = await shop.limited("fill")
    assert result.failure.what == "fill was ended by a limit: no file it writes may be over 1 MB"
    assert result.failure.why.splitlines()[0] == "0"
    assert (shop.root / "files" / "devops" / "big").stat().st_size <= 1 << 20


async def test_a_found_outcome_is_masked_too(shop):
    shop.command("env", "#!/bin/sh\nenv\n")
    for again in (False, True):
        text = (await shop.limited("env", again=again, credentials=("SITE_TOKEN",))).text
        assert "SITE_TOKEN=[SITE_TOKEN]" in text
