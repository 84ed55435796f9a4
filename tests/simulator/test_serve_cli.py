"""The options of `byte-sim serve`, and the real command under TLS with a seed file."""

from __future__ import annotations

import json
import signal
import ssl
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from simulator.cli import Exit, build_cli
from simulator.replay import record_night


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--ca-file", "root.pem"], "--ca-file names where the authority of --tls is written; add --tls"),
        (["--channels", "two words!"], "'words!' is no Twitch login"),
        (["--seed-file", "nowhere.toml"], "cannot read the seed file 'nowhere.toml'"),
    ],
)
def test_a_wrong_option_is_told(arguments: list[str], words: str) -> None:
    """One sentence and exit code 2, before anything listens."""
    result = CliRunner().invoke(build_cli({}, record_night), ["serve", *arguments])
    assert result.exit_code == Exit.NOT_TRIED
    assert words in result.output


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C cannot be sent to one process on Windows")
def test_serve_under_tls_with_a_seed_file(tmp_path: Path) -> None:
    """The line names the root's file and the addresses under TLS; a client in another process's place is served there."""
    seed, root = tmp_path / "seed.json", tmp_path / "root.pem"
    seed.write_text(json.dumps({"users": [{"login": "ana"}], "channels": [{"login": "padaria"}]}))
    program = "import sys; from simulator.cli import main; main(['serve', '--tls', *sys.argv[1:]])"
    arguments = ["--seed-file", str(seed), "--ca-file", str(root), "--web-port", "0"]
    with subprocess.Popen(
        [sys.executable, "-c", program, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        line = json.loads(process.stdout.readline())
        trust = ssl.create_default_context(cafile=line["ca_file"])
        headers = {"Authorization": f"OAuth {line['users']['ana']['token']}"}
        about = httpx.get(f"{line['oauth']['tls_url']}/validate", headers=headers, verify=trust).json()
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=30)
    assert (process.returncode, rest, errors) == (0, "", "")
    assert line["ca_file"] == str(root) and set(line["irc_tls"]) == {"host", "port"}
    assert line["twitch"]["channels"] == ["padaria"]
    assert about["login"] == "ana"
