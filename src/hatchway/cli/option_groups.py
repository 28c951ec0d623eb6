"""Options that several commands have together, declared once: the fields of a dataclass.

    @dataclass(frozen=True, slots=True, kw_only=True)
    class StoreArguments:
        data_dir: DataDir = None
        store_url: StoreUrl = None

    @with_option_groups
    def export(*, store: StoreArguments, json: Json = False) -> None: ...

`hatchway export` has --data-dir, --store-url and --json then, as if each stood in the list of parameters.
"""

import functools
import inspect
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from inspect import Parameter
from typing import Any


def with_option_groups(command: Callable[..., None]) -> Callable[..., None]:
    """The command as typer is to see it: in place of each parameter that is a dataclass, its fields."""
    signature = inspect.signature(command, eval_str=True)
    groups: dict[str, Any] = {}
    parameters: list[Parameter] = []
    for name, parameter in signature.parameters.items():
        group = parameter.annotation
        if isinstance(group, type) and is_dataclass(group):
            groups[name] = group
            parameters += inspect.signature(group, eval_str=True).parameters.values()
        else:
            parameters.append(parameter)

    @functools.wraps(command)
    def run(*arguments: Any, **given: Any) -> None:
        for name, group in groups.items():
            own = [field.name for field in fields(group) if field.name in given]
            given[name] = group(**{each: given.pop(each) for each in own})
        command(*arguments, **given)

    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run
