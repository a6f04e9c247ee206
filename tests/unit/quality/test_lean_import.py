"""A package that is imported without libraries it asks for, while everybody else has them."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from textwrap import dedent
from types import ModuleType
from typing import Any

import pytest

from include.quality.lean_import import lean_import

OPTIONAL = "try:\n    import library\nexcept ImportError:\n    library = None\n"
LIBRARIES = {"library": "", "plots": "", "plots.lines": "WIDTH = 3\n"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of libraries to which a test adds its package; none of them is imported, before or after."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    write(tmp_path, LIBRARIES)
    before, meta_path = set(sys.modules), list(sys.meta_path)
    yield tmp_path
    assert sys.meta_path == meta_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def write(folder: Path, modules: dict[str, str]) -> None:
    for name, source in modules.items():
        path = folder / name.replace(".", "/")
        path.mkdir()
        (path / "__init__.py").write_text(dedent(source))


def lean() -> Any:
    return lean_import("lean", absent=["library"], late=["plots", "plots.lines"])


def test_the_package_lacks_what_is_absent_and_whoever_imports_it_later_has_it(folder: Path) -> None:
    write(folder, {"lean": OPTIONAL})
    assert lean().library is None
    assert "library" not in sys.modules
    assert import_module("library").__file__ == str(folder / "library" / "__init__.py")
    assert lean().library is None


def test_what_was_imported_before_stays_the_one_there_is_and_the_package_lacks_it_all_the_same(folder: Path) -> None:
    write(folder, {"lean": OPTIONAL})
    library = import_module("library")
    assert lean().library is None
    assert sys.modules["library"] is library


def test_what_is_late_is_imported_when_something_is_asked_of_it(folder: Path) -> None:
    write(folder, {"lean": "import plots\nimport plots.lines\nimport plots.lines as whole\nfrom plots import lines\n"})
    package = lean()
    assert not {"plots", "plots.lines"} & set(sys.modules)
    assert package.plots.lines is package.lines is package.whole
    assert package.lines.WIDTH == 3
    assert package.plots.__file__ == sys.modules["plots"].__file__ == str(folder / "plots" / "__init__.py")
    with pytest.raises(AttributeError, match="HEIGHT"):
        _ = package.lines.HEIGHT


def test_the_package_s_own_modules_of_the_same_names_are_its_own(folder: Path) -> None:
    write(folder, {"lean": "from .library import OWN\nfrom lean import plots\n", "lean.library": "OWN = 1\n", "lean.plots": "OWN = 2\n"})
    assert (lean().OWN, lean().plots.OWN) == (1, 2)


def test_everybody_else_imports_as_ever_meanwhile(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(folder, {"lean": "import hook\nhook.meanwhile()\n" + OPTIONAL})
    found: list[ModuleType] = []

    def meanwhile() -> None:
        other = threading.Thread(target=lambda: found.extend([import_module("library"), import_module("plots.lines")]))
        other.start()
        other.join()

    hook = ModuleType("hook")
    vars(hook)["meanwhile"] = meanwhile
    monkeypatch.setitem(sys.modules, "hook", hook)
    package = lean()
    assert found == [sys.modules["library"], sys.modules["plots.lines"]]
    assert package.library is None


def test_a_package_that_cannot_be_had_lean_is_imported_whole_and_this_is_said_once(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(
        folder,
        {"lean": "from lean import first, second\n", "lean.first": OPTIONAL},
    )
    write(folder, {"lean.second": "import library\nimport plots\n"})
    package = lean()
    assert package.first.library is package.second.library is sys.modules["library"]
    assert package.second.plots is sys.modules["plots"]
    assert lean() is package
    (said,) = caplog.messages
    assert said == (
        "lean cannot do without ['library', 'plots', 'plots.lines']: all of it is imported, which takes longer "
        "(ModuleNotFoundError: library is left out)"
    )


def test_a_package_that_cannot_be_imported_at_all_says_why_and_leaves_nothing(folder: Path) -> None:
    write(folder, {"lean": "from lean import first\nimport library_that_nobody_has\n", "lean.first": ""})
    with pytest.raises(ModuleNotFoundError, match="library_that_nobody_has"):
        lean()
    assert "lean" not in sys.modules


def test_great_expectations_that_cannot_be_had_lean_works_as_whole() -> None:
    """In a process of its own, without a library that it does need: it fails half-way, when models and validators are made already."""
    source = """
        import sys
        from include.quality.lean_import import lean_import
        gx = lean_import("great_expectations", absent=("tzlocal",), late=())
        assert "tzlocal" in sys.modules
        import tempfile
        from pathlib import Path
        from tests.unit.quality.test_data_docs import test_each_judged_file_has_a_page_with_its_own_counts as judged
        with tempfile.TemporaryDirectory() as folder:
            judged(Path(folder))
    """
    ended = subprocess.run([sys.executable, "-c", dedent(source)], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (0, ""), ended.stderr
    said = r"great_expectations cannot do without \['tzlocal'\]: all of it is imported, which takes longer \(.*\)\n"
    assert re.fullmatch(said, ended.stderr)


def test_airflow_preloads_great_expectations_lean_and_none_of_our_code() -> None:
    """In a process of its own, with names in the place of Airflow's and Spark's own modules."""
    source = """
        import runpy, sys
        from types import ModuleType
        import sqlalchemy
        settings = "config/airflow_local_settings.py"
        for name in runpy.run_path(settings)["PRELOADED"]:
            if name.startswith(("airflow.", "pyspark.")):
                sys.modules[name] = ModuleType(name)
        sys.argv = ["airflow", "scheduler"]
        runpy.run_path(settings)
        assert "great_expectations" in sys.modules
        assert not [name for name in sys.modules if name.startswith("include")]

        from include.quality import gx
        assert not {"altair", "pyspark", "scipy"} & set(sys.modules)
        assert [finder for finder in sys.meta_path if type(finder).__module__.startswith("include")] == []
        assert sys.modules["sqlalchemy"] is sqlalchemy
        from great_expectations.compatibility import pyspark
        assert not pyspark.pyspark
        from great_expectations.expectations.core import expect_column_kl_divergence_to_be_less_than as tested
        import scipy.stats
        assert tested.stats.entropy is scipy.stats.entropy
    """
    ended = subprocess.run([sys.executable, "-c", dedent(source)], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
