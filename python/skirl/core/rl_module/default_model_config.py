"""RLlib's way to write the options of the default network: `rl_module(model_config=DefaultModelConfig(fcnet_hiddens=[64]))`."""

from typing import Any


class DefaultModelConfig(dict[str, Any]):
    """Options of `rl_module` by name. What is not named keeps its default, whatever else is given."""

    def __init__(self, **options: Any) -> None:
        super().__init__(options)

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None
