create table organizations (
  id uuid not null,
  slug text not null,
  name text not null,
  share_weight integer not null default 1,
  max_running_jobs integer,
  next_job_number bigint not null default 1,
  settings jsonb not null default '{}',
  created_at timestamptz not null default now(),
  constraint organizations_pkey primary key (id),
  constraint organizations_slug_unique unique (slug),
  constraint organizations_share_weight_positive check (share_weight > 0),
  constraint organizations_max_running_jobs_positive check (max_running_jobs > 0)
);
comment on column organizations.share_weight is 'Fair share: an organization of weight 2 gets twice the running jobs of one of weight 1.';
comment on column organizations.next_job_number is 'People say "job 12": the number the next job of this organization gets.';
alter table organizations enable row level security;
alter table organizations force row level security;
create policy tenant on organizations to flowforge_app using (id = current_organization()) with check (id = current_organization());
create policy system on organizations to flowforge_system using (true) with check (true);
create policy auth on organizations to flowforge_auth using (true) with check (true);
grant select, update on organizations to flowforge_app;
grant select, insert, update on organizations to flowforge_system, flowforge_auth;

create table api_keys (
  id uuid not null,
  organization_id uuid not null,
  user_id uuid,
  name text not null,
  prefix text not null,
  secret_sha256 bytea not null,
  scopes text[] not null,
  expires_at timestamptz,
  revoked_at timestamptz,
  last_used_at timestamptz,
  created_at timestamptz not null default now(),
  constraint api_keys_pkey primary key (id),
  constraint api_keys_organization_fk foreign key (organization_id) references organizations (id),
  constraint api_keys_secret_unique unique (secret_sha256)
);
comment on column api_keys.secret_sha256 is 'SHA-256 of the whole key: 256 random bits need no slow hash.';
comment on constraint api_keys_secret_unique on api_keys is 'Which key is this? One look-up for each request that is not cached.';
call protect_tenant_table('api_keys', true);
grant select, insert, update on api_keys to flowforge_app, flowforge_system;

create table job_tokens (
  id uuid not null,
  organization_id uuid not null,
  job_id uuid not null,
  execution_id uuid not null,
  secret_sha256 bytea not null,
  models text[] not null default '{}',
  expires_at timestamptz not null,
  created_at timestamptz not null default now(),
  constraint job_tokens_pkey primary key (id),
  constraint job_tokens_secret_unique unique (secret_sha256)
);
comment on table job_tokens is 'What a worker shows the gateway for a job. Valid only while jobs.current_execution is execution_id.';
comment on constraint job_tokens_secret_unique on job_tokens is 'Whose model call is this?';
create index job_tokens_expires_at on job_tokens (expires_at);
comment on index job_tokens_expires_at is 'Which tokens can be deleted?';
call protect_tenant_table('job_tokens', true);
grant select, insert on job_tokens to flowforge_app;
grant select, insert, delete on job_tokens to flowforge_system;
