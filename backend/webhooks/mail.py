"""The letter that tells a person that their program is not told any more."""

from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import send_mail
from django.template.loader import render_to_string

from backend.webhooks.models import DisabledBy, Endpoint


def send_switched_off(endpoint: Endpoint) -> None:
    """Of the address it names the host alone: the rest may be a secret, and a letter is read on the way."""
    words = {
        "email": endpoint.owner.email,
        "name": endpoint.description or endpoint.pk,
        "host": urlsplit(endpoint.url).hostname,
        "gone": endpoint.disabled_by == DisabledBy.GONE,
        "days": settings.WEBHOOK_FAILING_DAYS,
        "link": f"{settings.SITE_URL}/api/v1/webhooks/{endpoint.pk}/",
    }
    body = render_to_string("webhooks/mail/switched_off.txt", words)
    send_mail("ChatSphere: A webhook was switched off", body, None, [endpoint.owner.email])
