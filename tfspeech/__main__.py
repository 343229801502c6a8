"""`tfspeech COMMAND`: every command of the project under one name.

A package registers its commands in the group `tfspeech.commands` of its entry points:
each is a module, which is run as `python -m` runs it. What help shows is read from the
sources, so that nothing is imported that takes seconds, TensorFlow least of all.
"""

from __future__ import annotations

import ast
import importlib.metadata
import importlib.util
import runpy
import sys
from pathlib import Path

from tfspeech import __version__
from tfspeech.console import import_tensorflow, run_command, say
from tfspeech.errors import SpecError
from tfspeech.spec import unknown

COMMANDS = "tfspeech.commands"
_REGISTRY, _MODELS = "tfspeech.tasks.registry", "MODELS"
_NOT_INSTALLED = "only in a clone of the repository"


def main() -> None:
    """Runs the command that the first argument names."""
    # What a clone has beside the package, as its benchmarks, behind all that is found.
    sys.path.append(str(Path(__file__).parents[1]))
    run_command(_run)


def _run(arguments: list[str]) -> None:
    """Prints the help or the version, or runs a command.

    Raises:
        SpecError: There is no such command here.
    """
    commands = find_commands()
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(describe(commands))
        return
    if arguments[0] == "--version":
        print(f"tfspeech {__version__}")
        return
    name, *others = arguments
    if name not in commands:
        raise SpecError(f"{unknown('command', name, commands)} (see tfspeech --help)")
    module = commands[name]
    if importlib.util.find_spec(module) is None:
        raise SpecError(f"tfspeech {name} runs {_NOT_INSTALLED}: {module} is not here")
    if not {"-h", "--help"} & set(others):
        say(f"tfspeech {name}: loading TensorFlow")
    if not {"-v", "--verbose"} & set(others):
        import_tensorflow()
    sys.argv[1:] = others
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def find_commands() -> dict[str, str]:
    """Returns the modules of the commands that are installed, by name.

    Raises:
        SpecError: There are none.
    """
    found = importlib.metadata.entry_points(group=COMMANDS)
    if not found:
        raise SpecError("tfspeech is not installed: pip install -e . in its folder")
    return {each.name: each.value for each in found}


def describe(commands: dict[str, str]) -> str:
    """The help text: commands with their summaries, and the models.

    Args:
        commands: As of `find_commands`.
    """
    width = max(map(len, commands))
    return "\n".join(
        [
            "usage: tfspeech COMMAND ...",
            "",
            "A speech model zoo with measured clipping and regularization.",
            "",
            "commands (tfspeech COMMAND --help has their flags):",
            *(f"  {n:{width}}  {_summary(module)}" for n, module in commands.items()),
            "",
            "models (tfspeech train MODEL --help has the flags of each):",
            *(f"  {name}" for name in model_names()),
        ]
    )


def model_names() -> list[str]:
    """The names of the models of the zoo, read from the registry's source."""
    for node in _source(_REGISTRY).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == _MODELS:
            return [ast.literal_eval(key) for key in node.value.keys]
    raise LookupError(f"{_REGISTRY} has no {_MODELS}")


def _summary(module: str) -> str:
    """The first line of a module's docstring, after the command that it repeats."""
    if importlib.util.find_spec(module) is None:
        return _NOT_INSTALLED
    line = (ast.get_docstring(_source(module)) or "").partition("\n")[0]
    return line.rpartition("`: ")[2]


def _source(module: str) -> ast.Module:
    """The source of a module; of a package, that of its `__main__`."""
    spec = importlib.util.find_spec(module)
    if spec.submodule_search_locations:
        spec = importlib.util.find_spec(f"{module}.__main__")
    return ast.parse(Path(spec.origin).read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
