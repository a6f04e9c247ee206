"""`python -m tools.house [--pending]`: no circle of modules, no old word in a name, no `Any` at the seams, no document that points nowhere.

`--pending` also shows what is known and waits to be put right.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp

PROJECT = Path(__file__).resolve().parents[1]
PACKAGES = ("include", "spark_jobs", "plugins", "dags", "sluice", "tools")
CATALOG = PROJECT / "docs" / "columns.md"
"""What a migrated database said its tables, views and columns are called; `tools.docs` sees that it is current."""

WORDS = {
    "amiss": "mismatches",
    "begin_to_point": "shared_gc_lock",
    "blow": "fault",
    "books": "checks",
    "condemned": "quarantined, rejected_digests",
    "discreet": "RedactingFilter, redacting",
    "finished_sets": "snapshots",
    "in_the_outbox": "DUPLICATE_WINS_OVER",
    "judge": "validate",
    "judged": "GateResult, validated",
    "kept_file": "FileRecord",
    "kept_lease": "held, heartbeat",
    "let_go": "release",
    "mortal": "FaultInjectingStore, fault_injecting",
    "nobody_points": "gc_lock",
    "of_another": "for_peer_feed",
    "outdate": "invalidate",
    "put_back": "restore",
    "put_in": "install",
    "rejudge": "revalidate",
    "rejudged": "revalidated",
    "said": "logged",
    "say": "log, print_*",
    "settle": "decide, provision, wait_until_idle",
    "settled": "decided, provisioned",
    "sister": "peer_feed",
    "stretch": "SeqRange",
    "stretches": "seq_ranges",
    "take_lease": "acquire",
    "tally": "DailyTotals",
    "tidied": "compacted",
    "tidy": "compact",
    "tidying": "compacting",
    "told": "logged, print_*",
    "trial": "compose smoke test",
    "untidy": "needs_compaction",
    "unusual": "findings",
    "versioned_sets": "snapshots",
    "victim": "WorkerProcess",
    "what_is_known": "load_context",
    "withheld": "RedactedError",
    "yardstick": "baseline",
}
"""What a name does not hold, anywhere between its parts, and what is said instead."""

WHOLE = {
    "Known": "DecisionContext",
    "ZOMBIE": "fenced_run",
    "asked": "build_request",
    "beside": "sibling_task_ids",
    "care": "admin",
    "differing": "new_or_changed",
    "explained": "as_task_failure",
    "forget": "delete_expired",
    "given": "context",
    "leaving": "pending_supersede",
    "look": "ReconcileContext, context",
    "more_waits": "backlog_alias",
    "patience": "lease_wait_seconds",
    "sets": "ParquetExport, snapshots",
    "standing": "current_versions",
    "touched": "touched_values",
    "translated": "map_driver_errors",
    "was_published": "published_alias",
}
"""Ordinary English or Python: not the whole of a name that other code sees. One with a capital is meant as it is written."""

ALLOWED = {"tools.trial"}

PENDING_WORDS: set[str] = set()
PENDING_CIRCLES: set[str] = set()
"""Modules, or packages with all that is in them, whose circles are known."""
PENDING_ANY: set[str] = set()
"""Files, or folders with all that is in them, that still say it."""
PENDING_PATHS: set[str] = set()
"""What documents still name: here a comment in the ledger, which only a migration changes."""

DOCUMENTS = ("*.md", "docs/*.md", "docs/runbooks/*.md", "docs/adr/*.md")
EXAMPLES = {"docs/adding-a-feed.md", "CHANGELOG.md"}
"""Documents that speak of files which are not there yet, or no more."""
_PATH = re.compile(rf"(?<![\w/.<>-])((?:{'|'.join(PACKAGES)}|tests)/[\w./-]+)(?![\w<>{{}}*])")

NO_ANY = ("include/pipeline/*.py", "include/ledger/*.py", "include/domains/*/*publisher.py", "include/domains/*/request.py")


def main(arguments: Sequence[str]) -> int:
    """Print what is wrong, a line each; 1 where something is."""
    all_of_it = "--pending" in arguments
    graph = grimp.build_graph(*PACKAGES, cache_dir=None)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    found = [
        *circles(imports, () if all_of_it else PENDING_CIRCLES),
        *old_words(() if all_of_it else PENDING_WORDS),
        *anys(() if all_of_it else PENDING_ANY),
        *dead_paths(() if all_of_it else PENDING_PATHS),
    ]
    print("\n".join(found), file=sys.stderr, end="\n" if found else "")
    return 1 if found else 0


def circles(imports: Mapping[str, Collection[str]], pending: Collection[str] = ()) -> Iterator[str]:
    """A sentence for each circle, until none is left; an import that only a type checker sees counts as any other.

    >>> list(circles({"a": ["b"], "b": ["c"], "c": ["a"], "d": ["a"]}))
    ['a circle of modules: a -> b -> c -> a']
    """
    left = {module: {other for other in found if not _lies_in(other, pending)} for module, found in sorted(imports.items())}
    while True:
        try:
            return TopologicalSorter(left).prepare()
        except CycleError as error:
            circle: list[str] = error.args[1][::-1]
            start = circle.index(min(circle))
            circle = [*circle[start:-1], *circle[:start], circle[start]]
            yield f"a circle of modules: {' -> '.join(circle)}"
            left[circle[0]].discard(circle[1])


def old_words(pending: Collection[str] = ()) -> Iterator[str]:
    """A sentence for each name that holds an old word."""
    words = {word: new for word, new in WORDS.items() if word not in pending}
    whole = {word: new for word, new in WHOLE.items() if word not in pending}
    for package in PACKAGES:
        for path in sorted((PROJECT / package).rglob("*.py")):
            place = path.relative_to(PROJECT)
            module = ".".join(place.with_suffix("").parts).removesuffix(".__init__")
            names = [(1, module.rpartition(".")[2], True)] if module not in ALLOWED else []
            for line, name, seen in sorted({*names, *names_of(ast.parse(path.read_text()))}):
                yield from (f"{place}:{line}: `{name}`: say `{new}`" for new in better(name, words, whole if seen else {}))
    for line, text in enumerate(CATALOG.read_text().splitlines(), 1):
        match = re.match(r"### (\S+)$|\| `([\w.]+)`", text)
        for part in (match[1] or match[2]).split(".") if match else ():
            yield from (f"{CATALOG.relative_to(PROJECT)}:{line}: `{part}`: say `{new}`" for new in better(part, words, whole))


def names_of(tree: ast.Module) -> Iterator[tuple[int, str, bool]]:
    """Line and name of all that a module names, and whether other code sees it: what is bound inside a function it does not."""
    outside = {id(target) for _, statement in _outside_functions(tree) for target in ast.walk(statement) if isinstance(target, ast.Name)}
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield node.lineno, name, True
            case ast.arg(arg=name) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield node.lineno, name, True
            case ast.Name(id=name, ctx=ast.Store()):
                yield node.lineno, name, id(node) in outside
            case ast.alias(asname=str(name)):
                yield node.lineno, name, True


def _outside_functions(tree: ast.Module) -> Iterator[tuple[ast.Module | ast.ClassDef, ast.Assign | ast.AnnAssign]]:
    """The assignments of a module and of its classes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef):
            yield from ((node, statement) for statement in node.body if isinstance(statement, ast.Assign | ast.AnnAssign))


def better(name: str, words: Mapping[str, str], whole: Mapping[str, str]) -> Iterator[str]:
    """What is said instead of each old word in a name.

    >>> list(better("_LetGoOf", {"let_go": "release"}, {})), list(better("outlet_goes", {"let_go": "release"}, {}))
    (['release'], [])
    >>> list(better("_given", {}, {"given": "context"})), list(better("given_up", {}, {"given": "context"}))
    (['context'], [])
    """
    bare = name.strip("_")
    parts = f"_{re.sub('(?<=[a-z0-9])(?=[A-Z])', '_', bare).lower()}_"
    yield from (new for word, new in words.items() if f"_{word}_" in parts)
    yield from (new for word, new in whole.items() if word == (bare if word[0].isupper() else bare.lower()))


def anys(pending: Collection[str] = ()) -> Iterator[str]:
    """A sentence for each signature in which a type is `Any`: of a function, a field of a class, or a name for a type."""
    for path in sorted(path for pattern in NO_ANY for path in PROJECT.glob(pattern)):
        place = str(path.relative_to(PROJECT))
        if not place.startswith(tuple(pending)):
            yield from (f"{place}:{line}: `Any` in the signature of `{name}`" for line, name in anys_of(ast.parse(path.read_text())))


def anys_of(tree: ast.Module) -> Iterator[tuple[int, str]]:
    r"""Line and name of each signature with an `Any` in it.

    >>> list(anys_of(ast.parse("Row = dict[str, Any]\ndef f(row: 'list[Any]') -> None:\n    kept: Any = row")))
    [(1, 'Row'), (2, 'f')]
    """
    for owner, field in _outside_functions(tree):
        if isinstance(field, ast.AnnAssign) and _is_any(field.annotation):
            yield field.lineno, ast.unparse(field.target)
        elif isinstance(field, ast.Assign) and isinstance(owner, ast.Module) and _is_any(field.value):
            yield field.lineno, ast.unparse(field.targets[0])
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and _is_any(node.args, node.returns):
            yield node.lineno, node.name


def dead_paths(pending: Collection[str] = ()) -> Iterator[str]:
    """A sentence for each file or folder that a document names and nobody finds; some name those below tests/ without it."""
    for document in sorted(path for pattern in DOCUMENTS for path in PROJECT.glob(pattern)):
        place = str(document.relative_to(PROJECT))
        for line, text in enumerate(document.read_text().splitlines() if place not in EXAMPLES else (), 1):
            for path in (match[1].rstrip("./") for match in _PATH.finditer(text)):
                if path not in pending and not any((PROJECT / root / path).exists() for root in ("", "tests")):
                    yield f"{place}:{line}: there is no {path}"


def _is_any(*annotations: ast.AST | None) -> bool:
    return any(re.search(r"\bAny\b", ast.unparse(annotation)) for annotation in annotations if annotation)


def _lies_in(module: str, packages: Collection[str]) -> bool:
    return any(f"{module}.".startswith(f"{package}.") for package in packages)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
