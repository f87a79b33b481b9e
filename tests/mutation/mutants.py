"""Mutants of a source file: every small change that mutmut's operators know, as a whole new source.

Left out is what no test should pin down: docstrings, annotations and type aliases, decorators,
`__all__`, imports, assertions for the type checker, and the wording of messages.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import libcst as cst
from forks import Mutant
from libcst.metadata import MetadataWrapper, PositionProvider
from mutmut.mutation.mutators import mutation_operators

_SAID = {"print", "write", "warn"}  # whose strings are wording
_ANNOTATED = {"Bool", "Callable", "Float", "Int", "Literal", "NewType", "TypeVar", "cast"}


class _Collector(cst.CSTVisitor):
    METADATA_DEPENDENCIES = (PositionProvider,)

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[cst.CSTNode, cst.CSTNode, int, str]] = []
        self._names: list[tuple[str, bool]] = []  # of classes and functions around a node
        self._n_wordings = 0
        self._raised: cst.CSTNode | None = None

    def on_visit(self, node: cst.CSTNode) -> bool:
        if _is_left_out(node, is_outside=not self._names):
            return False
        self._n_wordings += _is_wording(node)
        is_text = isinstance(node, cst.BaseString | cst.ConcatenatedString)
        if is_text and self._n_wordings:
            return False
        if isinstance(node, cst.FunctionDef | cst.ClassDef):
            self._names.append((node.name.value, isinstance(node, cst.FunctionDef)))
        if isinstance(node, cst.Raise):
            self._raised = node.exc
        if node is self._raised:  # what an error says is wording, too
            return True
        line = self.get_metadata(PositionProvider, node, None)
        for kind, operator in mutation_operators:
            if line is not None and isinstance(node, kind):
                for new in operator(node):
                    self.found.append((node, new, line.start.line, self._inside()))
        return True

    def on_leave(self, original_node: cst.CSTNode) -> None:
        if isinstance(original_node, cst.FunctionDef | cst.ClassDef):
            self._names.pop()
        self._n_wordings -= _is_wording(original_node)

    def _inside(self) -> str:
        functions = [i for i, (_, is_function) in enumerate(self._names) if is_function]
        names = [name for name, _ in self._names]
        return ".".join(names[: functions[0] + 1]) if functions else ""


def _is_left_out(node: cst.CSTNode, *, is_outside: bool) -> bool:
    if isinstance(node, cst.Annotation | cst.Decorator | cst.Import | cst.ImportFrom | cst.Assert):
        return True
    if isinstance(node, cst.Expr) and isinstance(node.value, cst.BaseString):
        return True
    if isinstance(node, cst.Assign | cst.AnnAssign) and is_outside:
        target = node.target if isinstance(node, cst.AnnAssign) else node.targets[0].target
        name = target.value if isinstance(target, cst.Name) else ""
        return name == "__all__" or (name != name.upper() and name[:1].isupper())  # type alias
    if isinstance(node, cst.Subscript):
        return isinstance(node.value, cst.Name) and node.value.value in _ANNOTATED
    called = node.func if isinstance(node, cst.Call) else None
    return isinstance(called, cst.Name) and called.value in _ANNOTATED


def _is_wording(node: cst.CSTNode) -> bool:
    if isinstance(node, cst.Raise):
        return True
    called = node.func if isinstance(node, cst.Call) else None
    if isinstance(called, cst.Attribute):
        called = called.attr
    return isinstance(called, cst.Name) and called.value in _SAID


def mutants_of(file: Path, root: Path) -> Iterator[Mutant]:
    """All mutants of a file; some may not compile."""
    wrapper = MetadataWrapper(cst.parse_module(file.read_text()), unsafe_skip_copy=True)
    collector = _Collector()
    wrapper.visit(collector)
    seen = set()
    for old, new, line, inside in collector.found:
        pieces = [" ".join(wrapper.module.code_for_node(node).split()) for node in (old, new)]
        if pieces[0] == pieces[1] or (id(old), pieces[1]) in seen:
            continue
        seen.add((id(old), pieces[1]))
        make = partial(_changed, wrapper.module, old, new)
        yield Mutant(str(file.relative_to(root)), line, inside, *pieces, make)


def _changed(module: cst.Module, old: cst.CSTNode, new: cst.CSTNode) -> str:
    source = cst.ensure_type(module.deep_replace(old, new), cst.Module).code
    compile(source, "mutant", "exec")
    return source
