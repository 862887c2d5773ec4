"""Telegram channels as sources: with the operator's account over MTProto, or from the preview pages without one.

`connectors` is what `sources` sees. `syncing` (account) and `previewing` (web pages) read; `following` and `blocks`
turn what they read into documents. What imports Telethon is itself imported when a worker syncs or an operator logs in,
and not before: it takes 100 MB.
"""
