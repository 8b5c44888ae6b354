create table claude_api_usage (
  occurred_at timestamptz not null,
  id uuid not null,
  organization_id uuid not null,
  user_id uuid,
  api_key_id uuid,
  job_id uuid,
  execution_id uuid,
  session_id text,
  agent_id text,
  parent_agent_id text,
  operation text not null,
  model text not null,
  input_tokens bigint not null default 0,
  output_tokens bigint not null default 0,
  cache_read_tokens bigint not null default 0,
  cache_write_5m_tokens bigint not null default 0,
  cache_write_1h_tokens bigint not null default 0,
  web_searches integer not null default 0,
  cost_nano_dollars bigint not null,
  price_known boolean not null default true,
  latency_ms integer not null,
  status integer not null,
  aborted boolean not null default false,
  estimated boolean not null default false,
  simulated boolean not null default false,
  request_id text,
  constraint claude_api_usage_pkey primary key (occurred_at, id)
) partition by range (occurred_at);
comment on column claude_api_usage.simulated is 'The upstream said that it is the scripted model.';
create index claude_api_usage_by_job on claude_api_usage (job_id, occurred_at);
comment on index claude_api_usage_by_job is 'What did this job cost?';
create index claude_api_usage_by_organization on claude_api_usage (organization_id, occurred_at);
comment on index claude_api_usage_by_organization is 'What did this organization spend in this time?';
call protect_tenant_table('claude_api_usage', true);
grant select, insert on claude_api_usage to flowforge_app, flowforge_system;

create table budgets (
  id uuid not null,
  organization_id uuid not null,
  scope text not null,
  scope_id text,
  period text not null,
  limit_nano_dollars bigint not null,
  soft_percent integer,
  hard boolean not null default true,
  time_zone text not null default 'UTC',
  created_at timestamptz not null default now(),
  constraint budgets_pkey primary key (id),
  constraint budgets_organization_fk foreign key (organization_id) references organizations (id),
  constraint budgets_scope check (scope in ('organization', 'team', 'user', 'repository', 'job', 'api_key')),
  constraint budgets_period check (period in ('daily', 'weekly', 'monthly', 'total')),
  constraint budgets_limit_positive check (limit_nano_dollars >= 0),
  constraint budgets_scope_unique unique nulls not distinct (organization_id, scope, scope_id, period)
);
call protect_tenant_table('budgets', true);
grant select, insert, update, delete on budgets to flowforge_app;
grant select on budgets to flowforge_system;
