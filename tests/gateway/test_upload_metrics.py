"""What is measured of uploads: how many by each way and end, their bytes and seconds."""

from __future__ import annotations

import os
from typing import Any

from gateway_client import Api, Tenant
from prometheus_client.parser import text_string_to_metric_families

from gateway.uploading.metrics import measured_since


async def sample(api: Api, name: str, **labels: str) -> float:
    """One number of the gateway's; 0 where it has none yet."""
    text = (await api.get("/metrics")).body.decode()
    for family in text_string_to_metric_families(text):
        for each in family.samples:
            if each.name == name and labels.items() <= each.labels.items():
                return float(each.value)
    return 0.0


async def test_uploads_are_counted_by_way_and_end(alpha: Tenant, api: Api) -> None:
    assets = f"/v1/orgs/{alpha.org}/assets?filename=a.bin"
    form = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n12345\r\n--x--'
    multipart = {"Content-Type": "multipart/form-data; boundary=x"}
    tried: list[tuple[str, str, int, Any, dict[str, str]]] = [
        ("raw", "stored", 201, os.urandom(70_000), {}),
        ("raw", "queued", 202, os.urandom(70_000), {"Prefer": "respond-async"}),
        ("raw", "refused", 422, b"", {}),
        ("form", "stored", 201, form + b"\r\n", multipart),
        ("form", "refused", 422, b"--x--\r\n", multipart),
    ]
    for way, outcome, status, data, headers in tried:
        counted = {"way": way, "outcome": outcome}
        before = [
            await sample(api, "grid8_uploads_total", **counted),
            await sample(api, "grid8_upload_seconds_count", **counted),
            await sample(api, "grid8_upload_bytes_sum", way=way),
        ]
        answer = await alpha.owner.api.post(assets, data=data, headers=headers)
        assert answer.status == status, str(answer)
        assert await sample(api, "grid8_uploads_total", **counted) == before[0] + 1
        assert await sample(api, "grid8_upload_seconds_count", **counted) == before[1] + 1
        taken = {"raw": 70_000, "form": 5}[way] if outcome in ("stored", "queued") else 0
        assert await sample(api, "grid8_upload_bytes_sum", way=way) == before[2] + taken


async def test_a_completion_that_is_refused_counts_as_one(alpha: Tenant, api: Api) -> None:
    counted = {"way": "presigned", "outcome": "refused"}
    before = await sample(api, "grid8_uploads_total", **counted)
    path = f"/v1/orgs/{alpha.org}/uploads/complete"
    for upload in ("upl_x", "upl_00000000000000000000000000"):
        (await alpha.owner.api.post(path, {"upload_id": upload})).is_problem(404)
    assert await sample(api, "grid8_uploads_total", **counted) == before + 2


def test_an_id_that_tells_no_time_is_measured_from_now() -> None:
    for upload in ("", "x", "upl_!", "upl_00000000000000000000000000"):
        with measured_since("presigned", upload):
            pass
