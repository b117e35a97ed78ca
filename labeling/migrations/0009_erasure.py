from django.db import migrations

# The log stays append-only but for one thing: while a person is erased, their name in it becomes a pseudonym,
# and nothing besides.
FORWARD = """
create function labeling_audit_is_append_only() returns trigger language plpgsql as $$
declare
    erased text := coalesce(current_setting('tutelage.erased_name', true), '');
    pseudonym text := coalesce(current_setting('tutelage.pseudonym', true), '');
begin
    if tg_op = 'UPDATE' and erased <> '' and pseudonym ~ '^person-[0-9a-f]{12}$'
        and (new.action, new.detail, new.created_at)
            is not distinct from (old.action, old.detail, old.created_at)
        and (new.actor_name = old.actor_name or (old.actor_name = erased and new.actor_name = pseudonym))
        and (new.target = old.target or (
            right(old.target, length(erased) + 1) = ' ' || erased
            and new.target = left(old.target, length(old.target) - length(erased)) || pseudonym))
    then
        return new;
    end if;
    raise exception 'a record of % is never changed or deleted: add another', tg_table_name
        using errcode = 'integrity_constraint_violation';
end $$;
drop trigger labeling_auditentry_is_append_only on labeling_auditentry;
create trigger labeling_auditentry_is_append_only
    before update of actor_name, action, target, detail, created_at or delete on labeling_auditentry
    for each row execute function labeling_audit_is_append_only();
"""
BACKWARD = """
drop trigger labeling_auditentry_is_append_only on labeling_auditentry;
create trigger labeling_auditentry_is_append_only
    before update of actor_name, action, target, detail, created_at or delete on labeling_auditentry
    for each row execute function labeling_record_is_append_only();
drop function labeling_audit_is_append_only();
"""


class Migration(migrations.Migration):
    dependencies = [("labeling", "0008_running")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
