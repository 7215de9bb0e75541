"""The program of webhooks in docs/adapters.md is run as it stands there, and is sent what the package signs."""

from __future__ import annotations

import json
import signal
import urllib.request
from datetime import UTC, datetime
from pathlib import Path

import pytest
from standardwebhooks import Webhook

from tests.adapters.programs import program
from tests.adapters.serving import serving

SECRET = "whsec_c2VjcmV0IG9mIHRoZSB0ZXN0"


def post(url: str) -> int:
    now, body = datetime.now(UTC), json.dumps({"type": "said"})
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(SECRET).sign("msg_1", now, body),
    }
    request = urllib.request.Request(f"{url}/webhooks/ada", body.encode(), headers)
    with urllib.request.urlopen(request, timeout=60) as response:
        return int(response.status)


@pytest.mark.process
@pytest.mark.slow
def test_the_server_of_the_page_knows_what_it_took_after_a_kill(tmp_path: Path) -> None:
    app = tmp_path / "program.py"
    app.write_text(program("Webhooks: in and out"))
    for status in (202, 200):
        with serving(app, tmp_path) as (process, url):
            assert post(url) == status
            process.send_signal(signal.SIGKILL)
            process.wait()
