"""``grid8``: the commands, by name."""

from __future__ import annotations

import importlib
import importlib.util

import click

_COMMANDS = {
    "up": ("scripts.grid8.up:up", "Start everything here and keep it running."),
    "demo": ("scripts.grid8.demo:demo", "Upload photos to a running stack and watch."),
    "doctor": ("scripts.grid8.doctor:doctor", "Say what is installed, reachable and missing."),
    "env": ("scripts.grid8.env:env", "Show every setting."),
    "bench": ("scripts.grid8.bench:bench", "Measure, beside something to compare with."),
    "streams": ("scripts.grid8.streams:streams", "Watch streams and groups, live."),
    "sockets": ("scripts.grid8.sockets:sockets", "Show who is connected, and to which notifier."),
    "dead-letters": ("scripts.grid8.dead_letters:dead_letters", "Look after what was given up."),
    "replay": ("scripts.grid8.replay:replay", "Feed chosen events to one group again."),
    "publish": ("scripts.grid8.publish:publish", "Publish CloudEvents to the event log."),
    "mails": ("scripts.grid8.mails:mails", "Read the mails that the stack here has sent."),
    "admin": ("scripts.grid8.admin:admin", "Make platform admins, and list them."),
    "keys": ("scripts.grid8.keys:keys", "Rotate the keys that sign access tokens."),
    "asyncapi": ("scripts.grid8.asyncapi:asyncapi", "Describe every command and event."),
}
"""name → (module:attribute, help): shown only where the module exists."""


class _Lazy(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for name in _COMMANDS if _exists(name)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS or not _exists(cmd_name):
            return None
        module, _, attribute = _COMMANDS[cmd_name][0].partition(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, _COMMANDS[name][1]) for name in self.list_commands(ctx)])


def _exists(name: str) -> bool:
    return importlib.util.find_spec(_COMMANDS[name][0].partition(":")[0]) is not None


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Grid8 from the command line."""


if __name__ == "__main__":
    main(prog_name="grid8")
