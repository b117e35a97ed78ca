from django.db import migrations

# A rule that holds for every program that reaches the database, not only for ours.
FORWARD = """
create function guidelines_version_is_immutable() returns trigger language plpgsql as $$
begin
    raise exception 'a published guideline version never changes: publish a new one'
        using errcode = 'integrity_constraint_violation';
end $$;
create trigger guidelines_version_is_immutable before update or delete on guidelines_guidelineversion
    for each row execute function guidelines_version_is_immutable();
"""
BACKWARD = """
drop trigger guidelines_version_is_immutable on guidelines_guidelineversion;
drop function guidelines_version_is_immutable();
"""


class Migration(migrations.Migration):
    dependencies = [("guidelines", "0001_initial")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
