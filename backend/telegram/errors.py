from datetime import timedelta


class TelegramFailed(Exception):
    """`code` is a name in `failures.FAILURES`. `wait` where Telegram says how long; `detail` is what
    Telegram says in words of its own."""

    def __init__(self, code: str, *, wait: timedelta | None = None, detail: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.wait = wait
        self.detail = detail
