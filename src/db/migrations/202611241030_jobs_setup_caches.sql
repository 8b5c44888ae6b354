create table setup_caches (
  id uuid not null,
  organization_id uuid not null,
  repository_id uuid not null,
  key_sha256 bytea not null,
  host text not null,
  layer text not null,
  size_bytes bigint,
  created_at timestamptz not null default now(),
  last_used_at timestamptz not null default now(),
  constraint setup_caches_pkey primary key (id),
  constraint setup_caches_repository_fk foreign key (organization_id, repository_id) references repositories (organization_id, id) on delete cascade,
  constraint setup_caches_unique unique (organization_id, repository_id, key_sha256, host)
);
comment on table setup_caches is 'What a setup command left in the workspace, for the next job with the same base and lockfiles. Never shared between organizations: one could poison it for the other.';
comment on column setup_caches.key_sha256 is 'Of the setup command, the lockfiles and what else it depends on.';
comment on column setup_caches.layer is 'Where the saved layer lies on this host, below FLOWFORGE_HOME.';
comment on constraint setup_caches_unique on setup_caches is 'Was this set-up done on this host before?';
create index setup_caches_last_used on setup_caches (host, last_used_at);
comment on index setup_caches_last_used is 'Which layers of this host can go when its disk is full?';
call protect_tenant_table('setup_caches', true);
grant select, insert, update, delete on setup_caches to flowforge_app;
grant select, delete on setup_caches to flowforge_system;
