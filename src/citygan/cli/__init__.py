"""The command line: parse, resolve, call, print. Heavy imports happen inside the commands."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import traceback
from collections.abc import Sequence
from typing import NoReturn

import typer

from citygan.cli.evaluate import evaluate
from citygan.cli.models import models
from citygan.cli.prepare import prepare
from citygan.cli.study import study
from citygan.cli.train import train
from citygan.cli.translate import translate
from citygan.cli.video import video
from citygan.cli.weights import weights
from citygan.errors import CityganError, MachineError, printable

# Typer has taken click into itself; its errors are reached by way of the one that it names
_UsageProblem: type[Exception] = typer.BadParameter.__mro__[1]

EPILOGUE = (
    "citygan prepare demo, citygan train, citygan translate labels/ out/: the whole way on the built-in demo city."
)

app = typer.Typer(
    name="citygan",
    help="Turn semantic label maps into street scenes, and judge the result.",
    epilog=EPILOGUE,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # drawing the help in boxes costs as much again as all the rest
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from citygan import __version__

        print(f"citygan {__version__}")
        raise typer.Exit()


@app.callback()
def _options(
    version: bool = typer.Option(False, "--version", help="Print the version.", is_eager=True, callback=_version),
    debug: bool = typer.Option(False, "--debug", help="Show tracebacks (also CITYGAN_DEBUG=1)."),
) -> None:
    pass  # --debug is read by `run`, so that it may stand anywhere


for command in (prepare, train, translate, video, evaluate, study, models):
    app.command()(command)
app.add_typer(weights)


def run(arguments: Sequence[str] | None = None) -> int:
    """Runs one command line and returns its exit code; errors are told in one line on stderr."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = bool(os.environ.get("CITYGAN_DEBUG"))
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by whoever started us
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 (held to the end)
    if "--debug" in given[: given.index("--") if "--" in given else None]:
        given.remove("--debug")
        debug = True
    try:
        # without click's own handling of errors the return value is the code that a command left with
        left = app(args=given, prog_name="citygan", standalone_mode=False)
        sys.stdout.flush()
        if left == 130:  # Typer has taken a KeyboardInterrupt for itself
            return _tell(KeyboardInterrupt("interrupted"), 130, debug)
        return left if isinstance(left, int) else 0
    except (BrokenPipeError, SystemExit) as problem:
        # whoever read our output has enough of it: leave quietly, as tools in a pipeline do (click turns that into 1)
        if not isinstance(problem, BrokenPipeError) and not isinstance(problem.__context__, BrokenPipeError):
            raise
        _leave_stdout()
        return 0
    except KeyboardInterrupt:
        return _tell(KeyboardInterrupt("interrupted"), 130, debug)
    except CityganError as problem:
        return _tell(problem, problem.exit_code, debug)
    except _UsageProblem as problem:
        message = _usage_text(problem)
        if type(problem).__name__ == "NoArgsIsHelpError":
            print(message, file=sys.stderr)
            return 2
        context = getattr(problem, "ctx", None)
        name = context.command_path if context is not None else "citygan"
        return _tell(CityganError(message.rstrip("."), hint=f"{name} --help lists what it takes"), 2, debug)
    except ModuleNotFoundError as problem:
        return _tell(
            MachineError(f"the package {problem.name} is missing", hint="pip install citygan brings it"), 5, debug
        )
    except ImportError as problem:
        hint = _import_hint(problem)
        if hint is None:
            return _bug(problem, debug)
        return _tell(MachineError(" ".join(str(problem).split()), hint=hint), 5, debug)
    except OSError as problem:
        try:
            sys.stdout.flush()
        except OSError:
            _leave_stdout()
        return _tell(MachineError(problem.strerror or str(problem), where=problem.filename or "stdout"), 5, debug)
    except Exception as problem:
        from citygan.memory import out_of_memory_error

        told = out_of_memory_error(problem)
        return _bug(problem, debug) if told is None else _tell(told, told.exit_code, debug)


def main() -> NoReturn:
    """The console script."""
    sys.exit(run())


def _leave_stdout() -> None:
    """What is still to be written there is dropped, so that the interpreter does not fail on it at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _tell(problem: BaseException, code: int, debug: bool) -> int:
    if debug and not isinstance(problem, KeyboardInterrupt):
        traceback.print_exc()
    prefix = "" if code in (130, 143) else "error: "
    with contextlib.suppress(OSError):
        print(f"{prefix}{printable(problem)}", file=sys.stderr)
    return code


def _bug(problem: Exception, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    text = " ".join(str(problem).split())[:300]
    print(
        f"error: a bug of ours: {type(problem).__name__}: {printable(text)}. "
        "CITYGAN_DEBUG=1 shows where; please report it",
        file=sys.stderr,
    )
    return 1


def _usage_text(problem: Exception) -> str:
    """What the parser says, without its words for types: `--steps: expected a whole number, got '5.5'`."""
    message = str(getattr(problem, "format_message", problem.__str__)())
    found = re.fullmatch(r"Invalid value for '([^']+)': Input should be (?:a |an )?(.*)", message.rstrip("."))
    if found is None:
        return message
    flag, rule = found[1], found[2].partition(",")[0]
    rule = {"valid integer": "a whole number", "valid number": "a number"}.get(rule, rule)
    rule = rule.replace("greater than or equal to", "at least").replace("less than or equal to", "at most")
    details: list[dict[str, object]] = getattr(problem.__cause__, "errors", list)()
    got = f", got '{details[0]['input']}'" if details and "input" in details[0] else ""
    return f"{flag}: expected {rule}{got}"


def _import_hint(problem: ImportError) -> str | None:
    text = str(problem)
    if "libGL" in text or "libgthread" in text or "libglib" in text or "libxcb" in text or "libSM" in text:
        return "OpenCV needs system libraries: apt-get install -y libgl1 libglib2.0-0"
    return None
