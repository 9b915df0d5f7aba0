"""The folder of hooks: no other folder replaces attributes of modules, and its table names each of its modules."""

import ast

import house
import pytest

# The tests read all sources of the package.
pytestmark = pytest.mark.slow

#: Assignments outside of the folder, each with the reason why it is no hook.
NO_HOOKS = {
    # The entries for this package's own folders and modules.
    ("guest/own_loader.py", "sys.path_importer_cache"),
    ("guest/own_imports.py", "sys.modules"),
    # Settings for the processes that tests start.
    ("pytest_plugin/counted_run.py", "os.environ"),
    ("pytest_plugin/starting.py", "os.environ"),
}
#: Folders and modules of commands, which run in processes of their own.
OF_COMMANDS = ("commands/", "diagnosis/", "warming/", "cli.py", "trace_cli.py", "bootstrap/")


def imported_modules(tree):
    """Return the names that `import` statements of *tree* give to modules of others."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update((alias.asname or alias.name).partition(".")[0] for alias in node.names)
    return names - {"instrument"}


def replaced_attributes(tree):
    """Yield "module.attribute" for each attribute of a module of others that *tree* assigns, or an item of it."""
    modules = imported_modules(tree)
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=targets):
                pass
            case ast.AugAssign(target=target) | ast.AnnAssign(target=target):
                targets = [target]
            case _:
                continue
        for target in targets:
            for part in ast.walk(target):
                match part:
                    case ast.Attribute(value=ast.Name(id=name), attr=attribute) if name in modules:
                        yield f"{name}.{attribute}"


def test_only_hooks_assign_attributes_of_modules_of_others():
    assignments = {
        (path, attribute)
        for path, tree in house.syntax_trees().items()
        if not path.startswith(("hooks/", *OF_COMMANDS))
        for attribute in replaced_attributes(tree)
    }

    assert assignments <= NO_HOOKS


def test_only_hooks_register_exit_handlers_and_callbacks_of_forks():
    callers = {
        path
        for path, text in house.modules().items()
        if "register_at_fork(" in text or "atexit.register" in text or "addaudithook(" in text
        if not path.startswith(OF_COMMANDS) and path != "hooks/__init__.py"
    }

    assert callers == {"hooks/forks.py", "hooks/process_end.py", "guest/process_state.py"}


def test_the_table_of_hooks_names_each_module_of_the_folder():
    table = ast.get_docstring(house.syntax_trees()["hooks/__init__.py"])
    named = {row.split("|")[1].strip() for row in table.splitlines() if row.startswith("| ")} - {"module"}
    modules = {path.removeprefix("hooks/").removesuffix(".py") for path in house.modules() if path.startswith("hooks/")}

    assert named == modules - {"__init__"}
