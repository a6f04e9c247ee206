"""Import a package without libraries that it asks for and that its users here never use.

Only what the package's own modules see is changed, while they are executed: neither `sys.modules` nor any other importer, in this thread or
another, ever meets anything but the real libraries, whether those were imported before or are later.
"""

from __future__ import annotations

import builtins
import gc
import logging
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import ModuleType
from typing import Any

_LOG = logging.getLogger("sluice")


def lean_import(package: str, *, absent: Collection[str], late: Collection[str]) -> ModuleType:
    """The package, imported whole if it is not to be had lean; a warning says so.

    Args:
        absent: libraries that the package shall find not installed.
        late: libraries and modules, each after its parent, that it shall have once it asks something of them.
    """
    if package not in sys.modules:
        try:
            with _found_first(_Lean(package, absent, late)), _nothing_collected():
                return import_module(package)
        except Exception as failed:  # noqa: BLE001  # whatever a package may raise that lacks what it takes for granted
            _delete_expired(package)
            why = f"{type(failed).__name__}: {failed}"
            _LOG.warning("%s cannot do without %s: all of it is imported, which takes longer (%s)", package, [*absent, *late], why)
    return import_module(package)


def _delete_expired(package: str) -> None:
    """Take out what an import that failed half-way has left: modules, and what libraries remember of the classes in them by their names."""
    for name in [name for name in sys.modules if _is_in(name, {package})]:
        del sys.modules[name]
    validators: set[str] = getattr(sys.modules.get("pydantic.v1.class_validators"), "_FUNCS", set())
    validators.difference_update([name for name in validators if _is_in(name, {package})])
    schemas: dict[str, list[type]] = getattr(sys.modules.get("marshmallow.class_registry"), "_registry", {})
    for known in schemas.values():
        known[:] = [one for one in known if not _is_in(one.__module__, {package})]


@contextmanager
def _found_first(finder: MetaPathFinder) -> Iterator[None]:
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


@contextmanager
def _nothing_collected() -> Iterator[None]:
    """What is imported stays, so looking through it again and again for garbage costs a seventh of the time and finds none."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


class _Lean(MetaPathFinder):
    """Finds the package's modules where they are, and lets an `import` of our own serve them."""

    def __init__(self, package: str, absent: Collection[str], late: Collection[str]) -> None:
        self._package = package
        self._builtins = {**vars(builtins), "__import__": _importer(frozenset(absent), _late(late))}

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if not _is_in(fullname, {self._package}):
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _LeanLoader(spec.loader.name, spec.loader.path, self._builtins)
        return spec


class _LeanLoader(SourceFileLoader):
    def __init__(self, fullname: str, path: str, names: Mapping[str, Any]) -> None:
        super().__init__(fullname, path)
        self._names = names

    def exec_module(self, module: ModuleType) -> None:
        vars(module)["__builtins__"] = self._names  # where a module's `import` statements look for `__import__`
        super().exec_module(module)


class _Late(ModuleType):
    """Stands for a module until something is asked of it."""

    def __getattr__(self, name: str) -> Any:
        return getattr(import_module(self.__name__), name)


def _late(names: Collection[str]) -> Mapping[str, _Late]:
    modules: dict[str, _Late] = {}
    for name in names:
        modules[name] = _Late(name)
        parent, _, child = name.rpartition(".")
        if parent:
            setattr(modules[parent], child, modules[name])
    return modules


def _importer(absent: Collection[str], late: Mapping[str, ModuleType]) -> Any:
    real = builtins.__import__

    def lean(name: str, globals: Any = None, locals: Any = None, fromlist: Sequence[str] | None = (), level: int = 0) -> Any:  # noqa: A002
        if level == 0 and _is_in(name, absent):
            raise ModuleNotFoundError(f"{name} is left out", name=name)
        if level == 0 and name in late:
            return late[name if fromlist else name.partition(".")[0]]
        return real(name, globals, locals, fromlist or (), level)

    return lean


def _is_in(name: str, packages: Collection[str]) -> bool:
    return name.partition(".")[0] in packages
