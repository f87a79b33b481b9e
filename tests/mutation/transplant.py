"""A mutant put into a running process: its code takes the place of that of the living functions.

Modules stay as they were imported, so that a forked process needs milliseconds, not a new import of
everything, and functions stay wrapped as they are by caches, properties and shape checkers.
"""

import ast
import gc
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any


class NotTransplantedError(Exception):
    """A change of code that has run already, when its module was imported."""


class ImportFailsError(Exception):
    """A change with which the module could not have been imported."""


def living(files: Iterable[Path]) -> dict[Path, list[FunctionType]]:
    """All functions that were made from these files, by file."""
    found: dict[Path, list[FunctionType]] = {file: [] for file in files}
    for one in gc.get_objects():
        if type(one) is FunctionType and (file := Path(one.__code__.co_filename)) in found:
            found[file].append(one)
    return found


def put(source: str, file: Path, functions: Iterable[FunctionType]) -> None:
    """Put the source of a file, changed in one place, into this process.

    Args:
        source: with the change.
        file: as it stands.
        functions: all that were made from it.

    Raises:
        NotTransplantedError: when the change is not within a function, a default value or a value
            of a module or class.
        ImportFailsError: when it is a value that can't be made.
    """
    (module,) = [m for m in list(sys.modules.values()) if _file_of(m) == file]
    old, new = ast.parse(file.read_text()), ast.parse(source)
    if not _put_values(module, old, new):
        _put_functions(file, source, functions)


def _file_of(module: ModuleType) -> Path | None:
    name = getattr(module, "__file__", None)
    return Path(name) if name and module.__name__.startswith("gadlib") else None


_OF_ONE = ("co_qualname", "co_firstlineno", "co_freevars")
"""What tells the code of a function from that of others of its file, whatever wraps it."""


def _put_functions(file: Path, source: str, functions: Iterable[FunctionType]) -> None:
    old = dict(_codes(compile(file.read_text(), str(file), "exec")))
    new = dict(_codes(compile(source, str(file), "exec")))
    changed = [key for key in new if key in old and new[key] != old[key]]
    n_put = 0
    for function in functions:
        for key in changed:
            if all(getattr(old[key], n) == getattr(function.__code__, n) for n in _OF_ONE):
                function.__code__ = new[key]
                n_put += 1
                break
    if not n_put:
        raise NotTransplantedError


def _codes(code: CodeType) -> Iterator[tuple[tuple[str, int], CodeType]]:
    """The code of all functions inside, by name and by place among those of this name."""
    counts: dict[str, int] = {}
    waiting = [code]
    while waiting:
        for inner in waiting.pop(0).co_consts:
            if isinstance(inner, CodeType):
                place = counts[inner.co_qualname] = counts.get(inner.co_qualname, -1) + 1
                yield (inner.co_qualname, place), inner
                waiting.append(inner)


def _put_values(module: ModuleType, old: ast.AST, new: ast.AST) -> bool:
    """Whether the change was one of values: of the module, of a class, or defaults."""
    for before, after in zip(ast.iter_child_nodes(old), ast.iter_child_nodes(new), strict=True):
        if ast.dump(before) == ast.dump(after):
            continue
        if isinstance(after, ast.FunctionDef):
            return _put_defaults(getattr(module, after.name), before, after, vars(module))
        if isinstance(after, ast.ClassDef):
            return _put_class(getattr(module, after.name), before, after, vars(module))
        return _put_globals(module, after)
    return False


def _run(statement: ast.stmt, names: dict[str, Any]) -> dict[str, Any]:
    """What a statement binds, run beside the names of a module."""
    bound: dict[str, Any] = {}
    try:
        exec(compile(ast.Module([statement], []), "mutant", "exec"), names, bound)
    except Exception as error:
        raise ImportFailsError from error
    return bound


def _put_globals(module: ModuleType, statement: ast.stmt) -> bool:
    if not isinstance(statement, ast.Assign | ast.AnnAssign):
        raise NotTransplantedError
    for name, value in _run(statement, vars(module)).items():
        before = getattr(module, name)
        for other in [m for m in list(sys.modules.values()) if isinstance(m, ModuleType)]:
            for alias, known in list(vars(other).items()):
                if known is before and (alias == name or other is module):
                    setattr(other, alias, value)
    return True


def _put_class(found: type, before: ast.AST, after: ast.ClassDef, names: dict[str, Any]) -> bool:
    for one, other in zip(ast.iter_child_nodes(before), ast.iter_child_nodes(after), strict=True):
        if ast.dump(one) == ast.dump(other):
            continue
        if isinstance(other, ast.FunctionDef):
            return _put_defaults(vars(found)[other.name], one, other, names)
        if not isinstance(other, ast.Assign | ast.AnnAssign):
            raise NotTransplantedError
        for name, value in _run(other, names).items():
            if "dataclass_fields" in str(value) or "Field(" in repr(value):
                raise NotTransplantedError
            setattr(found, name, value)
            _put_default(found.__init__, name, value)
    return True


def _put_defaults(live: Any, before: ast.AST, after: ast.FunctionDef, names: dict) -> bool:
    assert isinstance(before, ast.FunctionDef)
    if ast.dump(before.args) == ast.dump(after.args):
        return False
    bare = ast.FunctionDef(after.name, after.args, [ast.Pass()], [], None)
    for argument in [*after.args.args, *after.args.kwonlyargs]:
        argument.annotation = None
    made = _run(ast.fix_missing_locations(bare), names)[after.name]
    original = _innermost(live)
    original.__defaults__, original.__kwdefaults__ = made.__defaults__, made.__kwdefaults__
    return True


def _put_default(live: Any, name: str, value: Any) -> None:
    """Another default of an argument of a living function."""
    function = _innermost(live)
    code, defaults = function.__code__, list(function.__defaults__ or ())
    arguments = code.co_varnames[: code.co_argcount]
    if name in arguments:
        defaults[arguments.index(name) - len(arguments)] = value
        function.__defaults__ = tuple(defaults)


def _innermost(function: Any) -> FunctionType:
    """The function as it was written, under what wraps it."""
    while inner := getattr(function, "__wrapped__", None) or getattr(function, "__func__", None):
        function = inner
    if not isinstance(function, FunctionType):
        raise NotTransplantedError
    return function
