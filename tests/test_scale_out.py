"""Two nodes that share nothing but the servers, one of them lost: the benchmark's own assertions, on short clips."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from commands.services import seaweedfs, triton
from tests.deploy_files import REPOSITORY
from tests.media import write_clip

pytestmark = [pytest.mark.services, pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.xdist_group("platform")]


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("ip"), reason="network namespaces need root and ip")
def test_a_lost_nodes_run_ends_with_a_reason_and_is_done_on_the_other(tmp_path: Path) -> None:
    for program in (seaweedfs.PROGRAM, triton.STUB):
        if not program.is_file():
            pytest.skip("the servers are not installed: sh scripts/servers.sh seaweedfs triton")
    clips = [write_clip(tmp_path / f"{number}.mp4", count=100 + 25 * number) for number in range(2)]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.scale_out", *clips],
        check=False,
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "a node sees 1 network device (its loopback), 0 files of servers and of other nodes" in done.stdout
    assert "computed by more than one run: nothing" in done.stdout, done.stdout
    assert "Detected run worker status FAILED: 'pod on node-b'" in done.stdout
