create table git_operations (
  occurred_at timestamptz not null default now(),
  id uuid not null,
  organization_id uuid not null,
  repository_id uuid not null,
  job_id uuid,
  execution_id uuid,
  operation text not null,
  ref text,
  before_commit text,
  after_commit text,
  outcome text not null,
  message text,
  duration_ms integer not null,
  constraint git_operations_pkey primary key (occurred_at, id)
) partition by range (occurred_at);
create index git_operations_by_job on git_operations (job_id, occurred_at);
comment on index git_operations_by_job is 'What did git do for this job?';
create index git_operations_by_repository on git_operations (repository_id, occurred_at desc);
comment on index git_operations_by_repository is 'What was done to this repository lately?';
call protect_tenant_table('git_operations', false);
grant select, insert on git_operations to flowforge_app;

create table conflict_resolutions (
  id uuid not null,
  organization_id uuid not null,
  repository_id uuid,
  job_id uuid,
  execution_id uuid,
  base_commit text,
  ours_commit text not null,
  theirs_commit text not null,
  path text not null,
  conflict_kind text not null,
  base_oid text,
  ours_oid text,
  theirs_oid text,
  result_oid text,
  outcome text not null,
  rung text,
  rungs jsonb not null default '[]',
  checks jsonb not null default '[]',
  model text,
  prompt_sha256 bytea,
  confidence real,
  approved_by text,
  created_at timestamptz not null default now(),
  constraint conflict_resolutions_pkey primary key (id),
  constraint conflict_resolutions_outcome check (outcome in ('resolved', 'declined', 'overruled'))
);
create index conflict_resolutions_by_job on conflict_resolutions (job_id, created_at);
comment on index conflict_resolutions_by_job is 'Which conflicts did this job have, and how were they resolved?';
create index conflict_resolutions_remembered on conflict_resolutions (organization_id, base_oid, ours_oid, theirs_oid, path) where outcome = 'resolved';
comment on index conflict_resolutions_remembered is 'Was this very conflict resolved before?';
call protect_tenant_table('conflict_resolutions', false);
grant select, insert, update on conflict_resolutions to flowforge_app;
