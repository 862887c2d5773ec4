"""A Telegram data centre of the tests' own: MTProto 2.0 over TCP, on loopback, spoken with Telethon's own classes.

`TelegramEmulator` in `server` is what tests start. `world` is what exists there, `calls` and `login` answer for it,
`exchange`, `envelope` and `connection` are the wire, `faults` the scripted misbehaviour.
"""
