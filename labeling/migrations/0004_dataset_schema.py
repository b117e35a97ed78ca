from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("labeling", "0003_kinds")]

    operations = [
        migrations.AddField(
            model_name="dataset",
            name="schema",
            field=models.PositiveSmallIntegerField(default=1, help_text="version of its rows' columns"),
        ),
        migrations.AlterField(
            model_name="dataset",
            name="kind",
            field=models.CharField(
                choices=[
                    ("demonstrations", "Demonstrations"),
                    ("preferences", "Preferences"),
                    ("ratings", "Ratings"),
                    ("prompts", "Prompts"),
                ],
                max_length=16,
            ),
        ),
    ]
