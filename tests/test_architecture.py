"""The house's rules that a reviewer should not have to remember."""

import ast
from pathlib import Path

import pytest
from django.core.management import call_command

ROOT = Path(__file__).resolve().parent.parent
MAY_IMPORT = {
    "guidelines": set(),
    "models_zoo": set(),
    "labeling": {"guidelines", "models_zoo"},
    "rlhf": {"guidelines", "models_zoo", "labeling"},
}
APPS = set(MAY_IMPORT)
LOADERS = {"models_zoo/load.py", "models_zoo/generate.py"}
# What of ours a trainer may stand on: nothing that knows the database.
PLAIN = (
    "rlhf.trainers",
    *(f"models_zoo.{name}" for name in ("chat", "generate", "load", "seeds", "store", "stories")),
)
HEAVY = {"torch", "transformers", "trl", "peft", "accelerate", "datasets"}


def imported(tree: ast.AST) -> set[str]:
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def at_import(tree: ast.Module) -> set[str]:
    """What a module loads when it is imported: everything outside functions and `if TYPE_CHECKING`."""
    lazy = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
    waiting, names = list(tree.body), set()
    while waiting:
        node = waiting.pop()
        if isinstance(node, lazy) or isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        names |= imported(node) if isinstance(node, ast.Import | ast.ImportFrom) else set()
        waiting += ast.iter_child_nodes(node)
    return names


def sources(*folders: str) -> list[Path]:
    return [
        path.relative_to(ROOT) for folder in sorted(folders) for path in sorted((ROOT / folder).rglob("*.py"))
    ]


def roots(names: set[str]) -> set[str]:
    return {name.split(".")[0] for name in names}


@pytest.mark.parametrize("path", sources(*APPS), ids=str)
def test_dependencies_point_one_way(path):
    tree = ast.parse((ROOT / path).read_text())
    app = path.parts[0]
    assert roots(imported(tree)) & (APPS | {"deploy"}) - {app} <= MAY_IMPORT[app]


@pytest.mark.parametrize("path", sources(*APPS, "deploy"), ids=str)
def test_torch_stays_out_of_web_processes(path):
    may = path.parts[:2] == ("rlhf", "trainers") or path.as_posix() in LOADERS
    assert may or not roots(at_import(ast.parse((ROOT / path).read_text()))) & HEAVY


@pytest.mark.parametrize("path", sources("rlhf/trainers"), ids=str)
def test_trainers_need_no_django(path):
    names = imported(ast.parse((ROOT / path).read_text()))
    assert not roots(names) & {"django", "psycopg", "procrastinate", "deploy", "labeling", "guidelines"}
    ours = {name for name in names if name.split(".")[0] in {"models_zoo", "rlhf"}}
    assert {name for name in ours if not name.startswith(PLAIN)} == set()


@pytest.mark.django_db
def test_migrations_are_whole():
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)
