"""A YAML file as plain data that still knows the line and column of every value."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from sfxgen.errors import Fault
from sfxgen.manifest.syntax import SyntaxFault, decode, explain_syntax

MAX_BYTES = 4_000_000
MAX_VALUES = 200_000  # after aliases are followed: a "billion laughs" file is refused before it is expanded
MAX_DEPTH = 40

Key = str | int
_NO_ANCHOR = "*{0} stands for a value marked &{0}, and none is marked so before"
_TAG = "tag:yaml.org,2002:"
_MERGE = _TAG + "merge"
_BASE: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_BASE):  # type: ignore[misc,valid-type]
    """libyaml's safe loader with two rules of YAML 1.2, which editors follow too: 1e-3 is a number, and only true and
    false are truth values, so that a tag or a sound may be called `on` or `no`."""

    yaml_implicit_resolvers: ClassVar[dict[str, list[tuple[str, re.Pattern[str]]]]] = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag != _TAG + "bool"]
        for first, resolvers in _BASE.yaml_implicit_resolvers.items()
    }


_Loader.add_implicit_resolver(_TAG + "bool", re.compile(r"(true|True|TRUE|false|False|FALSE)$"), list("tTfF"))
_Loader.add_implicit_resolver(_TAG + "float", re.compile(r"[-+]?[0-9]+[eE][-+]?[0-9]+$"), list("-+0123456789"))


class Document:
    """One parsed file. `data` is dicts with text keys, lists and scalars; `faults` is what YAML itself got wrong.

    `name` is the file as messages shall call it. A file with a syntax fault has `data` None.
    """

    def __init__(self, name: str, text: bytes) -> None:
        self.name = name
        self.faults: list[Fault] = []
        self._values: dict[int, Any] = {}
        self._keys: dict[int, dict[str, tuple[Node, Node]]] = {}
        self._has_aliases = False
        self._root = self._compose(text)
        self.data: Any = None
        if self._root is not None and (not self._has_aliases or self._bounded(self._root)):
            self.data = self._value(self._root)

    @staticmethod
    def read(path: Path, name: str) -> Document:
        return Document(name, path.read_bytes())

    def fault(
        self,
        path: Sequence[Key],
        problem: str,
        expected: str = "",
        cure: str = "",
        sound: str = "",
        at_key: bool = False,
    ) -> Fault:
        """A fault at the value of `path` (or at its key), or at the nearest parent that the file has."""
        line, column = self.place(path, at_key=at_key)
        return Fault(self.name, line, column, sound, problem, expected, cure)

    def place(self, path: Sequence[Key], at_key: bool = False) -> tuple[int, int]:
        """Line and column, counted from 1, of the deepest part of `path` that is written in the file."""
        node, spot = self._root, self._root
        for key in path:
            found = self._child(node, key) if node is not None else None
            if found is None:
                break
            key_node, node = found
            spot = key_node if at_key and key_node is not None else node
        if spot is None:
            return 0, 0
        return spot.start_mark.line + 1, spot.start_mark.column + 1

    def holds(self, path: Sequence[Key]) -> bool:
        """Whether the value at `path` is written in the file, be it by an alias or a merge."""
        node = self._root
        for key in path:
            found = self._child(node, key) if node is not None else None
            if found is None:
                return False
            node = found[1]
        return True

    def _child(self, node: Node, key: Key) -> tuple[Node | None, Node] | None:
        """The key's node and the value's node below `node`, also where a '<<' merge brings them in."""
        if isinstance(node, SequenceNode) and isinstance(key, int) and 0 <= key < len(node.value):
            return None, node.value[key]
        if not isinstance(node, MappingNode):
            return None
        if id(node) not in self._keys:  # the first of a key that is written twice counts
            self._keys[id(node)] = {k.value: (k, v) for k, v in reversed(node.value) if isinstance(k, ScalarNode)}
        found = self._keys[id(node)].get(str(key))
        if found is not None and found[0].tag != _MERGE:
            return found
        for key_node, value_node in node.value:
            if key_node.tag == _MERGE:
                for source in value_node.value if isinstance(value_node, SequenceNode) else [value_node]:
                    merged = self._child(source, key)
                    if merged is not None:
                        return merged
        return None

    def _compose(self, text: bytes) -> Node | None:
        if len(text) > MAX_BYTES:
            self._add(
                0, 0, f"the file has {len(text):,} bytes", f"at most {MAX_BYTES:,}", "split it into several files"
            )
            return None
        decoded = decode(text)
        if isinstance(decoded, SyntaxFault):
            self._syntax(decoded)
            return None
        try:
            return self._nodes(decoded)
        except yaml.MarkedYAMLError as error:
            self._syntax(explain_syntax(error, decoded))
            return None
        except (yaml.YAMLError, ValueError) as error:  # beyond the rules that the explanations know
            self._add(0, 0, f"this is not YAML: {error}")
            return None

    def _syntax(self, fault: SyntaxFault) -> None:
        self._add(fault.line, fault.column, fault.problem, fault.expected, fault.cure)

    def _nodes(self, text: str) -> Node | None:
        """The node tree, built from events with a stack of our own: libyaml's composer recurses in C, and a
        file of a hundred thousand brackets would end the process."""
        anchors: dict[str, Node] = {}
        root: Node | None = None
        open_nodes: list[Node] = []
        loader = _Loader(text)
        try:
            while loader.check_event():
                event: Any = loader.get_event()
                if isinstance(event, (yaml.SequenceEndEvent, yaml.MappingEndEvent)):
                    open_nodes.pop()
                    continue
                if isinstance(event, yaml.DocumentStartEvent) and root is not None:
                    place: Any = event.start_mark
                    self._add(
                        place.line + 1,
                        place.column + 1,
                        "a second YAML document begins here",
                        "one a file",
                        "remove the '---'",
                    )
                    return root
                if not isinstance(event, yaml.NodeEvent):
                    continue
                self._has_aliases = self._has_aliases or isinstance(event, yaml.AliasEvent)
                node = _node(event, anchors, loader)
                if root is None:
                    root = node
                if open_nodes:
                    _append(open_nodes[-1], node)
                if isinstance(event, (yaml.SequenceStartEvent, yaml.MappingStartEvent)):
                    open_nodes.append(node)
                if len(open_nodes) > MAX_DEPTH:
                    self._at(node, "values are nested too deeply", f"at most {MAX_DEPTH} levels")
                    return None
        finally:
            loader.dispose()
        if isinstance(root, MappingNode | SequenceNode) or (isinstance(root, ScalarNode) and root.value):
            return root
        return None

    def _bounded(self, root: Node) -> bool:
        """Whether the tree stays small, shallow and finite once every alias is followed."""
        measured: dict[int, tuple[int, int]] = {}
        endless = (MAX_VALUES + 1, 0)

        def size_and_depth(node: Node) -> tuple[int, int]:
            if id(node) not in measured:
                measured[id(node)] = endless  # what an alias to a parent of its own finds
                parts = [size_and_depth(child) for child in _children(node)]
                size = 1 + sum(part[0] for part in parts)
                measured[id(node)] = size, 1 + max((part[1] for part in parts), default=0)
            return measured[id(node)]

        size, depth = size_and_depth(root)
        if size <= MAX_VALUES and depth <= MAX_DEPTH + 1:
            return True
        limit = f"at most {MAX_VALUES:,} values, {MAX_DEPTH} levels deep"
        self._at(root, "with its aliases (*name) followed, the file grows without bound", limit)
        return False

    def _value(self, node: Node) -> Any:
        if id(node) not in self._values:
            self._values[id(node)] = self._build(node)
        return self._values[id(node)]

    def _build(self, node: Node) -> Any:
        if isinstance(node, MappingNode):
            return self._mapping(node)
        if isinstance(node, SequenceNode) and node.tag == _TAG + "seq":
            return [self._value(child) for child in node.value]
        if isinstance(node, ScalarNode):
            return self._scalar(node)
        self._at(node, f"the tag {_tag(node)} is not supported", "a plain value", "remove the tag")
        return None

    def _mapping(self, node: MappingNode) -> dict[str, Any]:
        if node.tag != _TAG + "map":
            self._at(node, f"the tag {_tag(node)} is not supported", "a plain value", "remove the tag")
        merged: dict[str, Any] = {}
        own: dict[str, Any] = {}
        lines: dict[str, int] = {}
        for key_node, value_node in node.value:
            if key_node.tag == _MERGE:
                merged = self._merge(key_node, value_node) | merged
                continue
            if not isinstance(key_node, ScalarNode) or key_node.tag != _TAG + "str":
                self._odd_key(key_node)
                continue
            key = key_node.value
            if key in own:
                self._at(
                    key_node, f"the key '{key}' is written twice", cure=f"the first is in line {lines[key]}: remove one"
                )
                continue
            own[key] = self._value(value_node)
            lines[key] = key_node.start_mark.line + 1
        return merged | own

    def _odd_key(self, node: Node) -> None:
        if isinstance(node, ScalarNode):
            kind = {"null": "an empty value", "bool": "a truth value"}.get(node.tag.removeprefix(_TAG), "a number")
            problem = f"the key {node.value or '(empty)'} counts as {kind}"
            self._at(node, problem, "text", f'write it in quotes: "{node.value}"')
        else:
            self._at(node, "a key is a list or a mapping", "text")

    def _merge(self, key: Node, node: Node) -> dict[str, Any]:
        sources = node.value if isinstance(node, SequenceNode) else [node]
        merged: dict[str, Any] = {}
        for source in sources:
            if isinstance(source, MappingNode):
                merged = self._value(source) | merged  # YAML 1.1: of several, the earlier wins
            else:
                self._at(key, "'<<' merges a mapping into this one, and this is none", "a mapping, such as *name")
        return merged

    def _scalar(self, node: ScalarNode) -> Any:
        kind = node.tag.removeprefix(_TAG)
        if kind in ("str", "timestamp", "value"):
            return node.value
        constructors = {
            "null": yaml.constructor.SafeConstructor.construct_yaml_null,
            "bool": yaml.constructor.SafeConstructor.construct_yaml_bool,
            "int": yaml.constructor.SafeConstructor.construct_yaml_int,
            "float": yaml.constructor.SafeConstructor.construct_yaml_float,
        }
        try:
            return constructors[kind](yaml.constructor.SafeConstructor(), node)
        except (KeyError, ValueError, OverflowError):
            self._at(node, f"{_tag(node)} {node.value} is not supported", "a plain value", "remove the tag")
            return None

    def _at(self, node: Node, problem: str, expected: str = "", cure: str = "") -> None:
        self._add(node.start_mark.line + 1, node.start_mark.column + 1, problem, expected, cure)

    def _add(self, line: int, column: int, problem: str, expected: str = "", cure: str = "") -> None:
        self.faults.append(Fault(self.name, line, column, "", problem, expected, cure))


def _tag(node: Node) -> str:
    """A tag as people write it: !!binary."""
    return "!!" + node.tag.removeprefix(_TAG) if node.tag.startswith(_TAG) else str(node.tag)


def _children(node: Node) -> Iterator[Node]:
    if isinstance(node, MappingNode):
        for key, value in node.value:
            yield key
            yield value
    elif isinstance(node, SequenceNode):
        yield from node.value


def _node(event: Any, anchors: dict[str, Node], loader: Any) -> Node:
    """The node of one event, its tag resolved; an alias gives the node that it names."""
    start: Any = event.start_mark
    end: Any = event.end_mark
    if isinstance(event, yaml.AliasEvent):
        if event.anchor not in anchors:
            raise yaml.composer.ComposerError(None, None, _NO_ANCHOR.format(event.anchor), start)
        return anchors[event.anchor]
    node: Node
    if isinstance(event, yaml.ScalarEvent):
        tag = event.tag if event.tag not in (None, "!") else loader.resolve(ScalarNode, event.value, event.implicit)
        node = ScalarNode(tag, event.value, start, end, style=event.style)
    elif isinstance(event, yaml.SequenceStartEvent):
        node = SequenceNode(event.tag or _TAG + "seq", [], start, end)
    else:
        node = MappingNode(event.tag or _TAG + "map", [], start, end)
    if event.anchor is not None:
        anchors[event.anchor] = node
    return node


def _append(parent: Node, child: Node) -> None:
    """Put `child` into the open collection. A mapping's pairs are (key, None) until the value arrives."""
    if isinstance(parent, MappingNode) and parent.value and parent.value[-1][1] is None:
        parent.value[-1] = (parent.value[-1][0], child)
    elif isinstance(parent, MappingNode):
        parent.value.append((child, None))
    else:
        parent.value.append(child)
