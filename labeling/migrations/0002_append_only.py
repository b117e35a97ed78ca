from django.db import migrations

# Labels are appended, revised or invalidated; the database refuses anything else, whoever asks.
# A hot task row is updated twice a label: free room on its page keeps those updates off the indexes.
FORWARD = """
create function labeling_label_is_append_only() returns trigger language plpgsql as $$
begin
    raise exception 'a label is never changed or deleted: revise or invalidate it'
        using errcode = 'integrity_constraint_violation';
end $$;
create trigger labeling_label_is_append_only before update or delete on labeling_annotation
    for each row execute function labeling_label_is_append_only();
alter table labeling_task set (fillfactor = 80);
alter table labeling_lease set (fillfactor = 80);
"""
BACKWARD = """
alter table labeling_lease reset (fillfactor);
alter table labeling_task reset (fillfactor);
drop trigger labeling_label_is_append_only on labeling_annotation;
drop function labeling_label_is_append_only();
"""


class Migration(migrations.Migration):
    dependencies = [("labeling", "0001_initial")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
