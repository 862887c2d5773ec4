from procrastinate.contrib.django import app

from backend.core.jobs import every
from backend.gateway import sweeping


@app.periodic(cron=every(60))
@app.task(name="gateway.release_lost_holds", queueing_lock="gateway.release_lost_holds", pass_context=False)
def release_lost_holds(timestamp: int) -> int:  # noqa: ARG001 - procrastinate tells when it was due
    return sweeping.release_lost_holds()
