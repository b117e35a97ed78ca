import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("guidelines", "0002_immutable"),
        ("labeling", "0002_append_only"),
        ("models_zoo", "0001_initial"),
    ]

    operations = [
        migrations.AddField(
            model_name="lease",
            name="guideline_version",
            field=models.ForeignKey(
                blank=True,
                help_text="the version that was read, whatever the task has been re-issued under since",
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="guidelines.guidelineversion",
            ),
        ),
        migrations.AddField(
            model_name="project",
            name="partial_rankings",
            field=models.BooleanField(
                default=False, help_text="a ranking may leave answers out; they give no pairs"
            ),
        ),
        migrations.AlterField(
            model_name="annotation",
            name="kind",
            field=models.CharField(
                choices=[
                    ("demonstrate", "Demonstrate"),
                    ("rank", "Rank"),
                    ("compare", "Compare"),
                    ("rate", "Rate"),
                    ("edit", "Edit"),
                ],
                max_length=16,
            ),
        ),
        migrations.AlterField(
            model_name="import",
            name="kind",
            field=models.CharField(
                choices=[
                    ("prompts", "Prompts"),
                    ("demonstrations", "Demonstrations"),
                    ("completions", "Completions"),
                ],
                max_length=16,
            ),
        ),
        migrations.AlterField(
            model_name="task",
            name="kind",
            field=models.CharField(
                choices=[
                    ("demonstrate", "Demonstrate"),
                    ("rank", "Rank"),
                    ("compare", "Compare"),
                    ("rate", "Rate"),
                    ("edit", "Edit"),
                ],
                max_length=16,
            ),
        ),
        migrations.AddConstraint(
            model_name="completion",
            constraint=models.UniqueConstraint(
                condition=models.Q(("checkpoint__isnull", True)),
                fields=("prompt", "text_hash"),
                name="completion_imported_once",
            ),
        ),
    ]
