create table repository_credentials (
  id uuid not null,
  organization_id uuid not null,
  kind text not null,
  username text,
  ciphertext bytea not null,
  created_at timestamptz not null default now(),
  constraint repository_credentials_pkey primary key (id),
  constraint repository_credentials_organization_fk foreign key (organization_id) references organizations (id),
  constraint repository_credentials_kind check (kind in ('https_token', 'ssh_key'))
);
comment on column repository_credentials.ciphertext is 'AES-256-GCM; the key id is in the ciphertext (secrets/).';
call protect_tenant_table('repository_credentials', false);
grant select, insert, update, delete on repository_credentials to flowforge_app;

create table repositories (
  id uuid not null,
  organization_id uuid not null,
  name text not null,
  address text not null,
  default_branch text,
  credential_id uuid,
  max_running_jobs integer,
  sensitive_paths jsonb,
  settings jsonb not null default '{}',
  created_at timestamptz not null default now(),
  constraint repositories_pkey primary key (id),
  constraint repositories_organization_fk foreign key (organization_id) references organizations (id),
  constraint repositories_credential_fk foreign key (credential_id) references repository_credentials (id),
  constraint repositories_name_unique unique (organization_id, name),
  constraint repositories_address_unique unique (organization_id, address),
  constraint repositories_max_running_jobs_positive check (max_running_jobs > 0)
);
comment on column repositories.address is 'https or ssh URL, or the absolute path of a repository of the machine''s own operator.';
comment on column repositories.sensitive_paths is 'Globs whose edits wait for review; null means the default list of jobs/sensitive.ts.';
call protect_tenant_table('repositories', true);
grant select, insert, update, delete on repositories to flowforge_app;
grant select on repositories to flowforge_system;
