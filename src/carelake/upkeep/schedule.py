"""The lines that let cron or systemd run a lake by itself. Paths are whole and quoted; nothing in them is secret."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import time
from pathlib import Path

Commands = tuple[tuple[str, ...], ...]
DAILY: Commands = (("run",),)
WEEKLY: Commands = (("run", "--reconcile"), ("optimize",), ("vacuum",), ("verify",))  # each after the other, on Sundays
TOLD = {  # what is told behind them, whatever became of them
    DAILY: (("alerts", "digest", "--daily"),),
    WEEKLY: (("alerts", "digest", "--daily"), ("alerts", "digest", "--weekly")),
}


@dataclass(frozen=True)
class Plan:
    """What is to be run, where, and when. `program` is how CareLake is called."""

    program: Sequence[str]
    project: Path
    environment: Path  # a file of NAME=value lines: connections, and the vault's key
    user: str
    at: time
    backup: Path | None = None  # where a backup is made after each

    def words(self, *command: str) -> list[str]:
        return [*self.program, "-p", str(self.project), *command]

    def commands(self, of: Commands) -> list[list[str]]:
        """The commands of a day, each in words, with the backup that follows."""
        last = [self.words("backup", "make", str(self.backup))] if self.backup else []
        return [*(self.words(*command) for command in of), *last]

    def told(self, of: Commands) -> list[list[str]]:
        """The commands that tell people of the day, in words."""
        return [self.words(*command) for command in TOLD[of]]


def cron(plan: Plan) -> str:
    """The lines of a crontab: on Sundays more than on other days."""
    at = f"{plan.at.minute} {plan.at.hour} * *"
    lines = [
        f"# CareLake, for `crontab -e` of {plan.user}. What a command says is mailed to:",
        f"MAILTO={plan.user}",
        "SHELL=/bin/sh",
        f"{at} 1-6 {_line(plan, [*plan.commands(DAILY), *plan.told(DAILY)])}",
        f"{at} 0 {_line(plan, [*plan.commands(WEEKLY), *plan.told(WEEKLY)])}",
    ]
    return "\n".join(lines) + "\n"


def _line(plan: Plan, commands: list[list[str]]) -> str:
    """One line of shell. Each command is tried, whatever became of the one before. To cron, a bare % is a new line."""
    environment = f"set -a && . {shlex.quote(str(plan.environment))} && set +a"
    return f"{environment} && {{ {'; '.join(map(shlex.join, commands))}; }}".replace("%", r"\%")


def systemd(plan: Plan) -> str:
    """Two services and their timers, each behind the name of its file."""
    units = []
    for name, days, commands in (("daily", "Mon..Sat", DAILY), ("weekly", "Sun", WEEKLY)):
        # With a dash before it, a command that fails lets the next one begin; the last one's failure is the unit's.
        first, last = plan.commands(commands)[:-1], plan.commands(commands)[-1]
        # What comes behind them comes also if they failed, and hides no failure.
        behind = [f"ExecStopPost={_unit_words(one)}" for one in plan.told(commands)]
        starts = [*(f"ExecStart=-{_unit_words(one)}" for one in first), f"ExecStart={_unit_words(last)}", *behind]
        service = [
            "[Unit]", f"Description=CareLake, {name}", "", "[Service]", "Type=oneshot", f"User={plan.user}",
            "UMask=0077", f"EnvironmentFile={_specified(str(plan.environment))}", *starts,
        ]  # fmt: skip
        timer = [
            "[Unit]", f"Description=CareLake, {name}", "", "[Timer]", f"OnCalendar={days} *-*-* {plan.at:%H:%M}:00",
            "Persistent=true", "", "[Install]", "WantedBy=timers.target",
        ]  # fmt: skip
        units += [(f"carelake-{name}.service", service), (f"carelake-{name}.timer", timer)]
    texts = ["\n".join([f"# /etc/systemd/system/{name}", *lines]) for name, lines in units]
    return "\n\n".join([*texts, "# systemctl enable --now carelake-daily.timer carelake-weekly.timer"]) + "\n"


def _unit_words(words: Sequence[str]) -> str:
    """Words as systemd reads them: within quotes, with its own signs doubled."""
    escaped = (word.replace("\\", "\\\\").replace('"', '\\"').replace("$", "$$") for word in words)
    return " ".join(f'"{_specified(word)}"' for word in escaped)


def _specified(text: str) -> str:
    return text.replace("%", "%%")
