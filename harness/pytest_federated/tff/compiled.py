"""Compiled computations, kept in a folder from session to session."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Optional

from pytest_federated.core.files import read_bytes, sealed, unsealed, write_bytes

_LARGEST = 20_000_000  # bytes of a computation; larger ones hold arrays
_ALL = 100_000_000  # bytes of all that are kept; those used last
_SUFFIX = ".computation"


class CompiledComputations:
    """What TFF's compiler made of computations, by what they say.

    Several processes may share the folder. What cannot be read or written is compiled again.
    """

    def __init__(self, folder: Path, conditions: str) -> None:
        """`conditions` says what else a compiled computation depends on: versions, machine."""
        self._folder, self._conditions = folder, conditions.encode()
        self._bytes: Optional[int] = None  # in the folder; counted when something is added

    def is_as(self, other: CompiledComputations) -> bool:
        """Returns whether both find the same."""
        return (self._folder, self._conditions) == (other._folder, other._conditions)

    def key(self, message: Any) -> Optional[str]:
        """Returns what stands for a serialized computation; None for one that is not kept."""
        if message.ByteSize() > _LARGEST:
            return None
        conditions = hashlib.sha256(self._conditions).digest()
        return hashlib.sha256(conditions + content(message)).hexdigest()

    def read(self, key: str) -> Optional[bytes]:
        """Returns what was made of the computation of that key, serialized; None if unknown."""
        file = self._file(key)
        try:
            data = unsealed(key, read_bytes(file, 2 * _LARGEST))
        except (OSError, ValueError):
            return None
        with contextlib.suppress(OSError):  # it may be another user's
            os.utime(file)  # used now
        return data

    def add(self, key: str, compiled: bytes) -> None:
        """Keeps what was made of a computation, where the folder can be written to."""
        if len(compiled) > _LARGEST:
            return
        with contextlib.suppress(OSError):
            if self._bytes is None:
                self._bytes = sum(file.stat().st_size for file in self._files())
            data = sealed(key, compiled)
            write_bytes(self._file(key), data)
            self._bytes += len(data)
            if self._bytes > _ALL:
                self._forget_the_oldest()

    def _forget_the_oldest(self) -> None:
        """Removes those that were used longest ago, until half of the room is free."""
        used = sorted(self._files(), key=lambda file: file.stat().st_mtime, reverse=True)
        self._bytes = 0
        for file in used:
            self._bytes += file.stat().st_size
            if self._bytes > _ALL // 2:
                self._bytes -= file.stat().st_size
                file.unlink(missing_ok=True)

    def _files(self) -> Iterator[Path]:
        return self._folder.glob(f"*{_SUFFIX}")

    def _file(self, key: str) -> Path:
        return self._folder / f"{key}{_SUFFIX}"


def content(message: Any) -> bytes:
    """Returns what a serialized computation says, the same in each process that traces it.

    TensorFlow numbers the functions of a graph on through a process, names some of their arguments
    by these numbers, and lists functions by name. Here they have the numbers of the order in which
    they are called. Computations of equal content compute the same.
    """
    message = type(message).FromString(message.SerializeToString())
    for packed in _graphs(message):
        _Graph(packed).rename()
    return message.SerializeToString(deterministic=True)


def _graphs(message: Any) -> Iterator[Any]:
    """Yields the graphs in a computation, each a message of the type `Any` of protobuf."""
    for field, value in message.ListFields():
        if field.message_type is None or field.message_type.name == "Type":
            continue
        for one in value if field.label == field.LABEL_REPEATED else [value]:
            if field.message_type.full_name == "google.protobuf.Any":
                yield one
            else:
                yield from _graphs(one)


class _Graph:
    """A `tf.compat.v1.GraphDef` within a message, whose functions are renamed.

    New names have a space, which no other name has.
    """

    def __init__(self, packed: Any) -> None:
        import tensorflow as tf

        self._packed, self._graph = packed, tf.compat.v1.GraphDef()
        self._is_graph = packed.Unpack(self._graph)
        library = self._graph.library
        self._functions = {function.signature.name: function for function in library.function}
        self._gradients = {one.function_name: one.gradient_func for one in library.gradient}
        self._names: dict[str, str] = {}  # new ones by old ones, in the order of calls
        self._interfaces: dict[bytes, bytes] = {}

    def rename(self) -> None:
        """Writes the graph back, with other names, and without what only serves debugging."""
        if not self._is_graph:
            return
        for node in self._graph.node:
            self._rename_in_node(node)
        done = self._rename_functions([])
        for name in sorted(set(self._functions) - set(self._names)):  # that nobody calls
            self._new_name(name)
            self._rename_functions(done)
        library = self._graph.library
        functions = [type(one).FromString(one.SerializeToString()) for one in done]
        gradients = sorted(
            (self._new_name(name), self._new_name(gradient))
            for name, gradient in self._gradients.items()
        )
        library.Clear()
        library.function.extend(functions)
        for name, gradient in gradients:
            library.gradient.add(function_name=name, gradient_func=gradient)
        self._packed.value = self._graph.SerializeToString(deterministic=True)

    def _rename_functions(self, done: list[Any]) -> list[Any]:
        """Renames in all functions that have a new name but those that are `done`; adds them."""
        while len(done) < len(self._names):
            name = list(self._names)[len(done)]
            function = self._functions[name]
            self._rename_in_function(function)
            if name in self._gradients:
                self._new_name(self._gradients[name])
            done.append(function)
        return done

    def _rename_in_function(self, function: Any) -> None:
        function.signature.name = self._new_name(function.signature.name)
        self._rename_in_attributes(function.attr)
        arguments: dict[str, str] = {}
        for i, argument in enumerate(function.signature.input_arg):
            arguments[argument.name] = f"argument {i}"
            argument.name = arguments[argument.name]

        def renamed(source: str) -> str:
            control = "^" if source.startswith("^") else ""
            name, colon, output = source[len(control) :].partition(":")
            return control + arguments.get(name, name) + colon + output

        for node in function.node_def:
            self._rename_in_node(node)
            node.input[:] = [renamed(source) for source in node.input]
        for name in function.ret:
            function.ret[name] = renamed(function.ret[name])

    def _rename_in_node(self, node: Any) -> None:
        node.ClearField("experimental_debug_info")
        node.op = self._new_name(node.op)
        self._rename_in_attributes(node.attr)

    def _rename_in_attributes(self, attributes: Any) -> None:
        import tensorflow as tf

        for name in sorted(attributes):
            one = attributes[name]
            called = [one.func] if one.HasField("func") else one.list.func
            for function in called if one.WhichOneof("value") in ("func", "list") else ():
                function.name = self._new_name(function.name)
                self._rename_in_attributes(function.attr)
            if name == "_gradient_op_type":  # by which Python finds a gradient while it traces
                del attributes[name]
            elif name in ("forward_function_name", "backward_function_name"):
                one.s = self._new_name(one.s.decode()).encode()
            elif name == "api_implements":  # Keras draws a name for each layer
                one.s = self._interfaces.setdefault(one.s, b"%d" % len(self._interfaces))
            elif name == "config_proto":  # has empty parts once an option was set and set back
                config = tf.compat.v1.ConfigProto.FromString(one.s)
                if not config.graph_options.rewrite_options.ByteSize():
                    config.graph_options.ClearField("rewrite_options")
                if not config.graph_options.ByteSize():
                    config.ClearField("graph_options")
                one.s = config.SerializeToString(deterministic=True)

    def _new_name(self, name: str) -> str:
        """Returns a function's new name, and any other name as it is."""
        if name not in self._functions:
            return name
        return self._names.setdefault(name, f"function {len(self._names)}")
