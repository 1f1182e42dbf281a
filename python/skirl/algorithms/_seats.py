"""Acting with the modules of an algorithm: observations as the environment gives them in, actions as it takes them out."""

from typing import TYPE_CHECKING, Any

from skirl._spaces import columns_of, values_of

if TYPE_CHECKING:
    from skirl._native import NativeAlgorithm


class Seat:
    """One module, with its spaces."""

    def __init__(self, native: "NativeAlgorithm", module: str) -> None:
        described = native.module(module).describe()
        self._native = native
        self._module = module
        self._observation_space: dict[str, Any] = described["observation_space"]
        self._action_space: dict[str, Any] = described["action_space"]

    def act(self, observations: list[Any], explore: bool | None) -> list[Any]:
        """One action for each observation."""
        if not observations:
            return []
        columns = columns_of(self._observation_space, observations)
        flat = self._native.compute_actions(self._module, columns, explore)
        return values_of(self._action_space, flat, len(observations))


class Seats:
    """The modules of an algorithm by id, each looked up when it first acts."""

    def __init__(self, native: "NativeAlgorithm") -> None:
        self._native = native
        self._seats: dict[str, Seat] = {}

    def __getitem__(self, module: str) -> Seat:
        seat = self._seats.get(module)
        if seat is None:
            seat = self._seats[module] = Seat(self._native, module)
        return seat
