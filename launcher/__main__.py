"""`python -m launcher run | emulators | exec -- COMMAND | admin | env`; the Makefile is the way in for people."""

import argparse
import signal
import sys

from launcher import commands
from launcher.errors import LauncherError
from launcher.run import run


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m launcher")
    actions = parser.add_subparsers(dest="action", required=True)
    actions.add_parser("run", help="start web, agent, worker and, without DATABASE_URL, the embedded PostgreSQL")
    actions.add_parser("emulators", help="the same against emulated Gemini and Pinecone, with data of its own")
    execute = actions.add_parser("exec", help="run a command with the database up and the environment set")
    execute.add_argument("command", nargs="+")
    admin = actions.add_parser("admin", help="make an administrator; asks for what is not given")
    admin.add_argument("--email")
    actions.add_parser("env", help="print the environment of the processes, for eval; it holds the secrets")
    return parser.parse_args()


def _act(arguments: argparse.Namespace) -> int:
    match arguments.action:
        case "exec":
            return commands.execute(arguments.command)
        case "admin":
            return commands.make_admin(arguments.email)
        case "env":
            return commands.show_environment()
        case action:
            return run(emulators=action == "emulators")


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was begun is ended on this way out too
    try:
        return _act(_arguments())
    except LauncherError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"error: {error.strerror}: {error.filename}", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, EOFError):
        return 130


if __name__ == "__main__":
    sys.exit(main())
