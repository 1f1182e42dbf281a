"""A change to a config before it is made: everything that is wrong is gathered, and only a change without errors is taken."""

from collections.abc import Mapping
from typing import Any

from skirl import _native
from skirl.algorithms._environments import encode
from skirl.algorithms._objects import SECTION_SYNONYMS
from skirl.algorithms._options import OptionTable
from skirl.algorithms._rllib_options import is_same_anyway, unserved_form
from skirl.algorithms._search import candidates, is_search, split


class Draft:
    """What a config would be, and what is wrong with that."""

    def __init__(self, table: OptionTable, native: _native.NativeConfig, search: Mapping[str, object]) -> None:
        self.table = table
        self.native = native
        #: Search spaces by dotted path.
        self.search = dict(search)
        self.problems: list[tuple[str, str]] = []
        #: Names under which options were given, by path: two names for one option are a contradiction.
        self._given: dict[str, str] = {}

    def set_section(self, section: str, options: Mapping[str, Any]) -> None:
        """Sets options of one section; those of `model` and `model_config` belong to `rl_module`."""
        plain: dict[str, Any] = {}
        for name, value in options.items():
            if name in ("model", "model_config") and isinstance(value, Mapping) and not is_search(value):
                self.set_section("rl_module", value)
            elif not self._is_needless(name, value, section) and not self._is_unserved(name, value, section):
                self._take(section, name, value, plain)
        # A section that the engine does not have says so itself, once for each option.
        known = section in self.table.sections or section in self.table.groups
        self._put(section if known else None, plain)

    def set_flat(self, options: Mapping[str, Any]) -> None:
        """Sets options by flat names, dotted paths, or sections as maps."""
        for name, value in options.items():
            section = SECTION_SYNONYMS.get(name, name)
            if section in self.table.sections and isinstance(value, Mapping) and not self._is_option(name):
                self.set_section(section, value)
            elif "." in name and self.is_path(name):
                self.set_path(name, value)
            elif (group := self.table.group(None, name)) is not None:
                self.set_section(group.rpartition(".")[0], {name: value})
            elif (option := self.table.find(name)) is not None:
                self.set_section(option.section, {name: value})
            elif not self._is_needless(name, value, None) and not self._is_unserved(name, value, None):
                self._put(None, {name: None if is_search(value) else _readable(value)})

    def set_path(self, path: str, value: object) -> None:
        """Sets one value by its dotted path, as search spaces are resolved."""
        plain, found = split(path, value)
        self._forget(path)
        if found:
            self._keep(found)
        if path not in found:
            self.native, problems = self.native.with_value(path, encode(path, plain))
            self.problems += problems

    def is_path(self, path: str) -> bool:
        """Whether a dotted path begins with a section."""
        return path.partition(".")[0] in self.table.sections

    def _is_option(self, name: str) -> bool:
        return self.table.find(name) is not None

    def _is_unserved(self, name: str, value: object, section: str | None) -> bool:
        """Notes that a form of RLlib's is not served."""
        if (message := unserved_form(name, value)) is None:
            return False
        path = f"{section}.{name}" if section else name
        self.problems.append((path, f"{path}: {message}"))
        return True

    def _is_needless(self, name: str, value: object, section: str | None) -> bool:
        known = self.table.find(name) if section is None else self.table.in_section(section, name)
        return known is None and is_same_anyway(name, value)

    def _take(self, section: str, name: str, value: object, plain: dict[str, Any]) -> None:
        """Puts what is no search space into `plain`."""
        option = self.table.in_section(section, name)
        group = self.table.group(section, name)
        path = option.path if option else group or f"{section}.{name}"
        if (before := self._given.setdefault(path, name)) != name:
            self.problems.append((path, f"{path} is given twice, as `{before}` and as `{name}`\n  help: keep one of them"))
            return
        rest, found = split(path, value)
        self._forget(path)
        if option is None and group is None and found:
            # The engine says what is wrong with the name; a search space it could not read.
            plain[name] = None
            return
        self._keep(found)
        if option is None and group is None:
            plain[name] = _readable(rest)
        elif path not in found:
            # RLlib takes any container of names; the order of a set is another one in every process.
            if name == "policies_to_train" and isinstance(rest, (set, frozenset)):
                rest = sorted(rest, key=str)
            plain[name] = encode(path, rest)

    def _keep(self, found: Mapping[str, object]) -> None:
        """Keeps search spaces; the values of grids are tried, so that a wrong one is found before the search begins."""
        for path, space in found.items():
            for value in candidates(space):
                self.problems += self.native.with_value(path, encode(path, value))[1]
        self.search.update(found)

    def _forget(self, path: str) -> None:
        """A new value takes the place of search spaces at its path and below."""
        self.search = {key: space for key, space in self.search.items() if key != path and not key.startswith(path + ".")}

    def _put(self, section: str | None, options: dict[str, Any]) -> None:
        if options:
            self.native, problems = self.native.with_options(section, options)
            self.problems += problems


def _readable(value: object) -> object:
    """A value of an option that there is not: what is wrong is its name, whatever the value is."""
    plain = value is None or isinstance(value, (bool, int, float, str, list, tuple, dict))
    return value if plain else repr(value)
