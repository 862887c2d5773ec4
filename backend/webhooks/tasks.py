from django.conf import settings
from procrastinate import RetryStrategy
from procrastinate.contrib.django import app

from backend.core.jobs import every
from backend.webhooks import mail, sending, services
from backend.webhooks.models import Endpoint

# A mail server that is away for an hour loses no letter.
RETRY = RetryStrategy(max_attempts=8, exponential_wait=4)


@app.task(name=services.SEND)
def send() -> None:
    sending.wake()


# What is due again after a pause, and what a killed worker left, is found here.
@app.periodic(cron=every(settings.SWEEP_SECONDS))
@app.task(name="webhooks.sweep", queueing_lock="webhooks.sweep")
def sweep(timestamp: int) -> None:  # noqa: ARG001 - what the scheduler hands over
    sending.wake()


@app.task(name=services.TELL, retry=RETRY)
def tell_switched_off(*, endpoint_id: str) -> None:
    endpoint = Endpoint.objects.select_related("owner").filter(pk=endpoint_id, enabled=False).first()
    if endpoint is not None and endpoint.owner.is_active:
        mail.send_switched_off(endpoint)


@app.periodic(cron="37 4 * * *")
@app.task(name="webhooks.forget_old_deliveries", queueing_lock="webhooks.forget_old_deliveries")
def forget_old_deliveries(timestamp: int) -> None:  # noqa: ARG001 - what the scheduler hands over
    services.forget_old_deliveries()
