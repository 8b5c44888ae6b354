-- What every later migration stands on: the tenant of the current transaction, and the grants of the roles.
-- The roles themselves (flowforge_owner, _app, _system, _auth) are made by db/set-up.ts: they belong to the cluster.

create function current_organization() returns uuid
  language sql stable parallel safe
  return nullif(current_setting('flowforge.organization_id', true), '')::uuid;
comment on function current_organization() is
  'The organization whose rows this transaction may see; null (no rows at all) when it was not set.';

grant usage on schema public to flowforge_app, flowforge_system, flowforge_auth;

-- Gives a tenant table its policies: the app role sees the current organization only; the system role sees
-- every row, and only where it is named as one of its tables.
create procedure protect_tenant_table(target regclass, for_system boolean)
  language plpgsql as $$
begin
  execute format('alter table %s enable row level security', target);
  execute format('alter table %s force row level security', target);
  execute format('create policy tenant on %s to flowforge_app using (organization_id = current_organization()) with check (organization_id = current_organization())', target);
  if for_system then
    execute format('create policy system on %s to flowforge_system using (true) with check (true)', target);
  end if;
end $$;
