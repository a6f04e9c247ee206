"""The `sluice` command. Each module here is a subject; the modules it opens are imported when a command needs them."""

from __future__ import annotations

import os
import sys

import typer

from include import logs
from include.errors import Refused, SluiceError

EPILOG = (
    "Exit codes: 0 done; 1 refused or failed; 2 wrong use; 3 a service is down or the deployment lacks something (nothing is lost); "
    "4 the feed is busy or paused."
)

app = typer.Typer(
    name="sluice",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    epilog=EPILOG,
    help="Turn files that land in S3 into trusted, exactly-once results.",
)


def _assemble() -> typer.Typer:
    from sluice.cli import (
        airflow,
        backfill,
        batches,
        files,
        finance,
        generate,
        ingest,
        ledger,
        produce,
        quarantine,
        reconcile,
        reference,
        roles,
        run,
        sales,
        services,
        sources,
    )

    for module in (services, airflow, run, generate, produce, ingest, backfill, files, reconcile, ledger):
        app.add_typer(module.app)
    app.add_typer(reference.app, name="reference")
    app.add_typer(roles.app, name="roles")
    app.add_typer(quarantine.app, name="quarantine")
    app.add_typer(batches.app, name="batch")
    app.add_typer(batches.feeds, name="feed")
    app.add_typer(sources.app, name="source")
    app.add_typer(sales.app, name="sales")
    app.add_typer(finance.app, name="finance")
    return app


def main() -> None:
    """Run a command; whatever Sluice can explain is one sentence on stderr and an exit code that means something."""
    logs.install()
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # so that a log keeps the order in which things were said
    try:
        code = _assemble()(standalone_mode=False)
    except typer.Abort:
        code = 130
    except typer.TyperException as wrong:
        if sentence := wrong.format_message():  # none where a group alone shows its help
            print(f"sluice: {sentence}", file=sys.stderr)
        code = wrong.exit_code
    except SluiceError as failed:
        code = _exit_code(failed)
    except KeyboardInterrupt:
        print("sluice: stopped; the next run goes on from here", file=sys.stderr)
        code = 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except Exception as unforeseen:
        from include.ledger.session import rule_violated

        violated = rule_violated(unforeseen)
        if violated is not None:
            code = _exit_code(violated)
        elif isinstance(unforeseen, Refused):
            print(logs.without_secrets(f"sluice: {unforeseen.sentence}"), file=sys.stderr)
            code = 1
        else:
            raise
    sys.exit(code if isinstance(code, int) else 0)


def _exit_code(failed: SluiceError) -> int:
    print(logs.without_secrets(f"sluice: {failed}"), file=sys.stderr)
    return failed.exit_code
