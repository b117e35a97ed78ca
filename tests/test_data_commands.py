"""import_prompts, freeze and export as a person types them."""

import hashlib
import json
import subprocess
import sys

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from pyarrow import parquet
from scenes import new_project

from labeling.models import Dataset, Import, Prompt, Task

pytestmark = pytest.mark.django_db
ROWS = [{"prompt": "Tell a story.", "completion": "Once."}, {"prompt": "Another.", "completion": "Twice."}]


@pytest.fixture
def project():
    return new_project()


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in [*ROWS, {"prompt": ""}]))
    return path


@pytest.fixture
def frozen(project, file):
    call_command("import_prompts", project=project.slug, file=file, kind="demonstrations")
    call_command("freeze", project=project.slug, kind="demonstrations")
    return Dataset.objects.get()


def said(capsys):
    return json.loads(capsys.readouterr().out)


def refused(*arguments, **options):
    with pytest.raises(CommandError) as caught:
        call_command(*arguments, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_import(project, file, capsys):
    call_command("import_prompts", "--json", project=project.slug, file=file)
    result = said(capsys)
    assert (result["accepted"], result["import"]) == (2, Import.objects.get().pk)
    assert [(row["row"], row["field"]) for row in result["refused"]] == [(3, "prompt")]


def test_import_in_words(project, file, capsys):
    call_command("import_prompts", project=project.slug, file=file, kind="demonstrations", synthetic=True)
    assert capsys.readouterr().out.splitlines() == [
        "2 demonstrations stored, 1 rows refused.",
        "  row 3: prompt: The row has no prompt and no messages, or they are empty.",
    ]
    assert Import.objects.get().synthetic


def test_import_dry_run(project, file, capsys):
    call_command("import_prompts", "--dry-run", "--tasks", project=project.slug, file=file)
    assert "2 prompts could be stored (dry run)" in capsys.readouterr().out
    assert not Prompt.objects.exists()


def test_import_with_writing_tasks(project, file, capsys):
    call_command("import_prompts", "--tasks", "--split", "0.5", project=project.slug, file=file)
    assert "2 new tasks wait" in capsys.readouterr().out
    assert Task.objects.open().count() == 2


def test_import_of_answers_from_two_files(project, tmp_path, capsys):
    for model, answer in (("small", "Because."), ("large", "For fun.")):
        path = tmp_path / f"{model}.jsonl"
        path.write_text(json.dumps({"prompt": "Why?", "response": answer}))
        arguments = [
            "--project",
            project.slug,
            "--file",
            str(path),
            "--kind",
            "completions",
            "--model",
            model,
        ]
        call_command("import_prompts", *arguments, "--columns", "response=completion")
        assert "1 completions stored" in capsys.readouterr().out
    call_command("make_tasks", project=project.slug, kind="rank")
    assert capsys.readouterr().out == "1 new rank tasks wait for labelers.\n"
    told = Task.objects.get().candidates.values_list("completion__text", "completion__sampling")
    assert list(told) == [("Because.", {"model": "small"}), ("For fun.", {"model": "large"})]


def test_import_of_answers_with_tasks(project, tmp_path, capsys):
    path = tmp_path / "rows.csv"
    path.write_text('prompt,completions,models\nWhy?,"[""a"", ""b""]","[""x"", null]"\n')
    arguments = ["--project", project.slug, "--file", str(path), "--kind", "completions"]
    call_command("import_prompts", "--dry-run", "--tasks", "rank", *arguments)
    assert capsys.readouterr().out.splitlines() == [
        "2 completions could be stored (dry run), 0 rows refused."
    ]
    call_command("import_prompts", "--json", "--tasks", "compare", *arguments)
    assert said(capsys)["tasks"] == Task.objects.filter(kind="compare").count() == 1


def test_make_tasks_refused(project, file):
    call_command("import_prompts", project=project.slug, file=file)
    assert "has no prompt 0" in refused("make_tasks", project=project.slug, kind="rank", prompts=[0])
    assert "can be given to rank" in refused(
        "import_prompts", project=project.slug, file=file, kind="completions", tasks="demonstrate"
    )


def test_import_by_other_names(project, tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("question,answer\nWhy?,Because.\n")
    names = ["--columns", "question=prompt", "answer=completion"]
    arguments = ["--project", project.slug, "--file", str(path), "--kind", "demonstrations"]
    call_command("import_prompts", *arguments, *names)
    assert Task.objects.get().annotations.get().answer == {"text": "Because."}


def test_import_refused(project, file, tmp_path):
    assert refused("import_prompts", project="no", file=file) == (
        f"There is no project 'no'. There are: {project.slug}."
    )
    missing = tmp_path / "missing.jsonl"
    assert refused("import_prompts", project=project.slug, file=missing) == (
        f"{missing}: No such file or directory"
    )
    file.write_text("[]\n")
    assert "every row was refused; row 1" in refused("import_prompts", project=project.slug, file=file)
    assert "must end in" in refused("import_prompts", project=project.slug, file=__file__)


def test_freeze(frozen, project, capsys):
    capsys.readouterr()
    call_command("freeze", "--json", project=project.slug, kind="demonstrations", guideline_version=["1"])
    result = said(capsys)
    assert (result["dataset"], result["size"], result["filter"]) == (2, 2, {"guideline_version": [1]})
    assert result["digest"] == frozen.digest


def test_freeze_refused(project):
    assert "no trainable preferences yet" in refused("freeze", project=project.slug, kind="preferences")
    message = refused("freeze", project=project.slug, kind="preferences", since="monday")
    assert message.startswith("filter.since: This is no ISO 8601 time")


def test_export(frozen, project, tmp_path, capsys):
    capsys.readouterr()
    path = tmp_path / "labels.jsonl"
    call_command("export", "--json", project=project.slug, output=str(path))
    assert said(capsys)["sha256"] == frozen.digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert [path.name] == [each.name for each in tmp_path.glob("*labels*")]


def test_export_parquet(frozen, project, tmp_path, capsys):
    path = tmp_path / "labels.parquet"
    call_command("export", project=project.slug, output=str(path), dataset=1)
    assert "2 rows (sft, parquet)" in capsys.readouterr().out
    assert parquet.read_table(path).column("messages").to_pylist()[0][-1]["content"] == "Once."


def test_export_to_the_screen(frozen, project, capfdbinary):
    call_command("export", project=project.slug, form="prompts")
    lines = capfdbinary.readouterr().out.splitlines()
    assert [json.loads(line)["prompt"][0]["content"] for line in lines[-2:]] == [
        row["prompt"] for row in ROWS
    ]


def test_before_the_tables(project, frozen):
    with connection.cursor() as cursor:
        cursor.execute("alter table labeling_dataset rename to elsewhere")
    assert "no tables yet" in refused("export", project=project.slug)


def test_export_refused(frozen, project, tmp_path):
    assert refused("export", project=project.slug, dataset=7) == (
        f"{project.slug} has no dataset 7. There are: 1."
    )
    assert "can be read as sft, prompts" in refused("export", project=project.slug, form="pairs")
    assert "say which" in refused("export", project=project.slug, output=str(tmp_path / "labels.csv"))
    folder = tmp_path / "labels.jsonl"
    folder.mkdir()
    assert "labels.jsonl" in refused("export", project=project.slug, output=str(folder))
    assert not list(tmp_path.glob(".*"))
    assert "Freeze one first" in refused("export", project=new_project().slug)


@pytest.mark.parametrize("name", ["import_prompts", "make_tasks", "freeze", "export", "demo_project"])
def test_help_needs_no_library(name):
    code = (
        "import os, sys; os.environ['DJANGO_SETTINGS_MODULE'] = 'deploy.settings'\n"
        "from django.core.management import execute_from_command_line as run\n"
        f"try: run(['manage.py', {name!r}, '--help'])\n"
        "except SystemExit as end: print(end.code)\n"
        "print({'torch', 'pyarrow', 'datasets', 'rest_framework.views', 'tqdm'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines()[-2:] == ["0", "set()"], done.stderr
    assert "--json" in done.stdout


def test_exit_status(tmp_path):
    done = subprocess.run(
        [sys.executable, "manage.py", "freeze", "--project", "x"], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert "--kind" in done.stderr
