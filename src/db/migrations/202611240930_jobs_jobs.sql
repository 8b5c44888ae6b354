create table job_transitions (
  from_state text not null,
  to_state text not null,
  constraint job_transitions_pkey primary key (from_state, to_state)
);
comment on table job_transitions is 'The same table as jobs/state.ts; a test holds them together.';
insert into job_transitions values
  ('queued', 'running'), ('queued', 'cancelled'),
  ('running', 'merging'), ('running', 'queued'), ('running', 'paused'), ('running', 'failed'), ('running', 'cancelled'),
  ('merging', 'succeeded'), ('merging', 'needs_review'), ('merging', 'queued'), ('merging', 'paused'), ('merging', 'failed'), ('merging', 'cancelled'),
  ('paused', 'queued'), ('paused', 'cancelled'),
  ('needs_review', 'merging'), ('needs_review', 'cancelled');
grant select on job_transitions to flowforge_app, flowforge_system;

create table jobs (
  id uuid not null,
  organization_id uuid not null,
  number bigint not null,
  repository_id uuid not null,
  state text not null default 'queued',

  -- what was asked for
  title text not null,
  task text not null,
  agent text not null,
  command text[],
  model text,
  max_turns integer,
  time_limit_seconds integer not null,
  budget_nano_dollars bigint,
  base_ref text not null,
  target_branch text not null,
  landing text not null,
  setup_command text,
  checks text[] not null default '{}',
  variables jsonb not null default '{}',
  priority integer not null default 0,
  max_attempts integer not null default 1,
  cost_tags jsonb not null default '{}',
  idempotency_key text,
  request_sha256 bytea,
  retry_of uuid,
  created_by text not null,

  -- who has it now
  current_execution uuid,
  queue_entry uuid,
  attempts integer not null default 0,
  infrastructure_failures integer not null default 0,
  run_after timestamptz not null default now(),
  cancel_requested_at timestamptz,
  next_event bigint not null default 1,

  -- what came of it
  base_commit text,
  result_commit text,
  result_branch text,
  result_blob text,
  landed_commit text,
  review_reasons jsonb,
  approved_by text,
  approved_commit text,
  cause text,
  message text,
  session_id text,
  simulated boolean not null default false,
  cost_nano_dollars bigint not null default 0,

  created_at timestamptz not null default now(),
  started_at timestamptz,
  finished_at timestamptz,

  constraint jobs_pkey primary key (id),
  constraint jobs_organization_fk foreign key (organization_id) references organizations (id),
  constraint jobs_repository_fk foreign key (repository_id) references repositories (id),
  constraint jobs_number_unique unique (organization_id, number),
  constraint jobs_idempotency_key_unique unique (organization_id, idempotency_key),
  constraint jobs_state check (state in ('queued', 'running', 'merging', 'paused', 'needs_review', 'succeeded', 'failed', 'cancelled')),
  constraint jobs_agent check (agent in ('claude', 'command')),
  constraint jobs_landing check (landing in ('merge', 'branch')),
  constraint jobs_command_given check ((agent = 'command') = (command is not null)),
  constraint jobs_finished check ((state in ('succeeded', 'failed', 'cancelled')) = (finished_at is not null))
);
comment on column jobs.current_execution is 'The fence: every write of a run or a landing is made "where current_execution = mine".';
comment on column jobs.queue_entry is 'The pg-boss job that carries this job now; null while it waits for admission.';
comment on column jobs.next_event is 'Event numbers are taken from here in the transaction that writes the event, so that a resumed reader misses none.';
comment on column jobs.simulated is 'The answers came from the scripted model, not from Claude.';
comment on column jobs.result_blob is 'Where the bundle with the result lies in storage; the mirror is only a cache.';
comment on constraint jobs_number_unique on jobs is 'Which job is number 12 of this organization? Also the list, newest first.';

create index jobs_waiting on jobs (run_after, priority desc, number) where state = 'queued' and queue_entry is null;
comment on index jobs_waiting is 'Which jobs wait for admission?';
create index jobs_in_flight on jobs (organization_id, repository_id) where state in ('queued', 'running', 'merging');
comment on index jobs_in_flight is 'How many jobs of this organization and repository hold a place? What must the reconciler compare?';
create index jobs_by_state on jobs (organization_id, state, number desc);
comment on index jobs_by_state is 'Which jobs of this organization are in this state, newest first?';
create index jobs_by_repository on jobs (repository_id, number desc);
comment on index jobs_by_repository is 'Which jobs ran on this repository, newest first?';

create function jobs_check_transition() returns trigger language plpgsql as $$
begin
  if new.state <> old.state and not exists (
    select from job_transitions where from_state = old.state and to_state = new.state
  ) then
    raise exception 'job % cannot move from % to %', new.id, old.state, new.state
      using errcode = 'check_violation', constraint = 'jobs_transition', table = 'jobs';
  end if;
  return new;
end $$;
create trigger jobs_transition before update of state on jobs for each row execute function jobs_check_transition();

call protect_tenant_table('jobs', true);
grant select, insert, update on jobs to flowforge_app, flowforge_system;

create table job_executions (
  started_at timestamptz not null default now(),
  id uuid not null,
  organization_id uuid not null,
  job_id uuid not null,
  kind text not null,
  attempt integer not null,
  worker_id uuid not null,
  queue_entry uuid not null,
  queue_retry integer not null,
  session_id text,
  ended_at timestamptz,
  outcome text,
  cause text,
  message text,
  usage jsonb,
  constraint job_executions_pkey primary key (started_at, id),
  constraint job_executions_kind check (kind in ('run', 'land'))
) partition by range (started_at);
create index job_executions_by_job on job_executions (job_id, started_at);
comment on index job_executions_by_job is 'Which tries did this job have, in order?';
call protect_tenant_table('job_executions', true);
grant select, insert, update on job_executions to flowforge_app, flowforge_system;

create table job_events (
  occurred_at timestamptz not null default now(),
  organization_id uuid not null,
  job_id uuid not null,
  number bigint not null,
  execution_id uuid,
  kind text not null,
  facts jsonb not null,
  constraint job_events_pkey primary key (occurred_at, job_id, number)
) partition by range (occurred_at);
create index job_events_by_job on job_events (job_id, number);
comment on index job_events_by_job is 'What happened in this job after event N?';
call protect_tenant_table('job_events', true);
grant select, insert on job_events to flowforge_app, flowforge_system;

create table job_messages (
  id uuid not null,
  organization_id uuid not null,
  job_id uuid not null,
  text text not null,
  created_by text not null,
  created_at timestamptz not null default now(),
  delivered_at timestamptz,
  constraint job_messages_pkey primary key (id),
  constraint job_messages_job_fk foreign key (job_id) references jobs (id)
);
comment on table job_messages is 'What a person tells a running agent (flowforge tell).';
create index job_messages_undelivered on job_messages (job_id, created_at) where delivered_at is null;
comment on index job_messages_undelivered is 'What was this agent not told yet?';
call protect_tenant_table('job_messages', true);
grant select, insert, update on job_messages to flowforge_app, flowforge_system;

create table job_checkpoints (
  id uuid not null,
  organization_id uuid not null,
  job_id uuid not null,
  execution_id uuid not null,
  commit text,
  bundle_blob text,
  session_blob text,
  created_at timestamptz not null default now(),
  constraint job_checkpoints_pkey primary key (id),
  constraint job_checkpoints_job_fk foreign key (job_id) references jobs (id)
);
comment on column job_checkpoints.session_blob is 'The agent''s own configuration folder (Claude''s transcript), so that a session can be resumed.';
create index job_checkpoints_by_job on job_checkpoints (job_id, created_at desc);
comment on index job_checkpoints_by_job is 'What is the newest checkpoint to go on from?';
call protect_tenant_table('job_checkpoints', true);
grant select, insert, delete on job_checkpoints to flowforge_app, flowforge_system;

create table landings (
  id uuid not null,
  organization_id uuid not null,
  job_id uuid not null,
  repository_id uuid not null,
  target_branch text not null,
  expected_old text not null,
  commit text not null,
  bundle_blob text not null,
  state text not null default 'written',
  created_at timestamptz not null default now(),
  settled_at timestamptz,
  constraint landings_pkey primary key (id),
  constraint landings_job_fk foreign key (job_id) references jobs (id),
  constraint landings_state check (state in ('written', 'landed', 'absent', 'refused'))
);
comment on table landings is 'The pair that is pushed: the commit and the value the branch must still have. Written before any push, so that every owner pushes exactly that pair.';
create unique index landings_one_open on landings (job_id) where state = 'written';
comment on index landings_one_open is 'Which landing of this job is under way? At most one: a new one is made only when the old one is proved absent.';
call protect_tenant_table('landings', true);
grant select, insert, update on landings to flowforge_app, flowforge_system;

create table workers (
  id uuid not null,
  host text not null,
  pid integer not null,
  slots integer not null,
  started_at timestamptz not null default now(),
  seen_at timestamptz not null default now(),
  constraint workers_pkey primary key (id)
);
comment on table workers is 'Live workers and their room: admission sends no more than they can run. No tenant data.';
grant select, insert, update, delete on workers to flowforge_system;
