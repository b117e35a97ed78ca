import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('labeling', '0007_cockpit'),
    ]

    operations = [
        migrations.AddField(
            model_name='project',
            name='heldout_share',
            field=models.FloatField(db_default=0, default=0, help_text='share of incoming prompts that judge models, from 0 to 1'),
        ),
        migrations.AddField(
            model_name='import',
            name='labeler',
            field=models.ForeignKey(blank=True, help_text='whom its demonstrations are labels by', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='imports', to='labeling.labeler'),
        ),
        migrations.AddIndex(
            model_name='annotation',
            index=models.Index(fields=['submitted_at'], include=('task', 'labeler', 'kind'), name='annotation_by_day'),
        ),
    ]
