create table audit_logs (
  occurred_at timestamptz not null default now(),
  id uuid not null,
  organization_id uuid not null,
  actor text not null,
  action text not null,
  subject text,
  before jsonb,
  after jsonb,
  outcome text not null,
  address inet,
  request_id text,
  constraint audit_logs_pkey primary key (occurred_at, id),
  constraint audit_logs_outcome check (outcome in ('done', 'refused'))
) partition by range (occurred_at);
create index audit_logs_by_organization on audit_logs (organization_id, occurred_at desc);
comment on index audit_logs_by_organization is 'Who did what in this organization lately?';
call protect_tenant_table('audit_logs', false);
grant select, insert on audit_logs to flowforge_app;
comment on table audit_logs is 'Append-only by grants: nobody in use may update or delete.';
