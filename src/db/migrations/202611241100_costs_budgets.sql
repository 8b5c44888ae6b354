-- Budgets that hold: money is reserved before a call and settled after it, over every budget above the call at once.

alter table claude_api_usage
  add column repository_id uuid,
  add column retry_count integer not null default 0,
  add column cache_hit boolean not null default false,
  add column saved_nano_dollars bigint not null default 0;
comment on column claude_api_usage.occurred_at is 'When the call was reserved: with the id it names the call for ever, so that writing it twice counts once.';
comment on column claude_api_usage.retry_count is 'As the client says: the how-manieth retry of the same request this is.';

alter table budgets alter column scope_id set not null, alter column hard set default false;
comment on column budgets.scope_id is 'The id of the organization, user, repository, job or key; never null, so that every look-up is an equality.';

create table budget_counters (
  id uuid not null,
  organization_id uuid not null,
  budget_id uuid not null,
  period_start timestamptz not null,
  period_end timestamptz,
  spent_nano_dollars bigint not null,
  reserved_nano_dollars bigint not null default 0,
  constraint budget_counters_pkey primary key (id),
  constraint budget_counters_budget_fk foreign key (budget_id) references budgets (id) on delete cascade,
  constraint budget_counters_unique unique (budget_id, period_start),
  constraint budget_counters_reserved check (reserved_nano_dollars >= 0)
) with (fillfactor = 50);
comment on table budget_counters is 'What a budget''s period has spent (derivable from claude_api_usage) and holds reserved (derivable from reservations).';
comment on column budget_counters.period_end is 'Null: a total has no end.';
comment on constraint budget_counters_unique on budget_counters is 'What was spent of this budget in this period?';
call protect_tenant_table('budget_counters', true);
grant select on budget_counters to flowforge_app;
grant select, insert, update on budget_counters to flowforge_system;

create table reservation_holders (
  id uuid not null,
  host text not null,
  pid integer not null,
  seen_at timestamptz not null default now(),
  constraint reservation_holders_pkey primary key (id)
);
comment on table reservation_holders is 'Live gateways: a reservation is good for as long as its holder is seen. No tenant data.';
grant select, insert, update, delete on reservation_holders to flowforge_system;

create table reservations (
  id uuid not null,
  occurred_at timestamptz not null,
  organization_id uuid not null,
  holder_id uuid not null,
  nano_dollars bigint not null,
  counter_ids uuid[] not null,
  sent_at timestamptz,
  facts jsonb not null,
  constraint reservations_pkey primary key (id),
  constraint reservations_amount check (nano_dollars >= 0)
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
comment on table reservations is 'Calls under way. Deleted by the transaction that writes the call to the ledger, or when it was never sent.';
comment on column reservations.sent_at is 'Recorded before the call is sent: from here on it counts as spent, whatever becomes of its gateway.';
comment on column reservations.facts is 'What the ledger must know if the gateway dies: key, job, model.';
create index reservations_by_holder on reservations (holder_id);
comment on index reservations_by_holder is 'What did the gateway that died leave behind?';
call protect_tenant_table('reservations', true);
grant select on reservations to flowforge_app;
grant select, insert, update, delete on reservations to flowforge_system;

create table budget_notices (
  budget_id uuid not null,
  period_start timestamptz not null,
  threshold_percent integer not null,
  organization_id uuid not null,
  limit_nano_dollars bigint not null,
  spent_nano_dollars bigint not null,
  created_at timestamptz not null default now(),
  delivered_at timestamptz,
  constraint budget_notices_pkey primary key (budget_id, period_start, threshold_percent),
  constraint budget_notices_budget_fk foreign key (budget_id) references budgets (id) on delete cascade
);
comment on table budget_notices is 'A threshold was passed: one row for each threshold and period, by the transaction that spent the money.';
create index budget_notices_undelivered on budget_notices (created_at) where delivered_at is null;
comment on index budget_notices_undelivered is 'Which notices must still go out?';
call protect_tenant_table('budget_notices', true);
grant select on budget_notices to flowforge_app;
grant select, insert, update on budget_notices to flowforge_system;

create function budget_period_start(period text, zone text, at timestamptz) returns timestamptz
  language sql stable
  return case period
    when 'daily' then date_trunc('day', at, zone)
    when 'weekly' then date_trunc('week', at, zone)
    when 'monthly' then date_trunc('month', at, zone)
    else 'epoch'::timestamptz
  end;
create function budget_period_end(period text, zone text, at timestamptz) returns timestamptz
  language sql stable
  return case period
    when 'daily' then (date_trunc('day', at at time zone zone) + interval '1 day') at time zone zone
    when 'weekly' then (date_trunc('week', at at time zone zone) + interval '1 week') at time zone zone
    when 'monthly' then (date_trunc('month', at at time zone zone) + interval '1 month') at time zone zone
  end;

-- Counters are made under this lock alone, and money is spent under it shared: what is spent while a counter is
-- summed up from the ledger is either in the sum or finds the counter.
create function budget_counters_lock() returns bigint language sql immutable return 4715200021;

-- The budgets above a call. `scopes` are pairs of scope and id, as text.
create function budgets_above(organization uuid, scopes text[][]) returns setof budgets
  language sql stable
begin atomic
  select budgets.* from generate_subscripts(scopes, 1) as at
  join budgets on budgets.organization_id = organization and scope = scopes[at][1] and scope_id = scopes[at][2];
end;

-- Answers the counter of each budget above a call, made now where this period has none yet.
create function ensure_budget_counters(organization uuid, scopes text[][], at timestamptz)
  returns setof budget_counters language plpgsql as $$
begin
  if exists (
    select from budgets_above(organization, scopes) b where not exists (
      select from budget_counters c where c.budget_id = b.id and c.period_start = budget_period_start(b.period, b.time_zone, at))
  ) then
    perform pg_advisory_xact_lock(budget_counters_lock());
    insert into budget_counters (id, organization_id, budget_id, period_start, period_end, spent_nano_dollars)
    select gen_random_uuid(), b.organization_id, b.id, p.starts, p.ends, (
      select coalesce(sum(u.cost_nano_dollars), 0) from claude_api_usage u
      where u.organization_id = b.organization_id
        and u.occurred_at >= p.starts and (p.ends is null or u.occurred_at < p.ends)
        and case b.scope
          when 'organization' then true
          when 'user' then u.user_id = b.scope_id::uuid
          when 'api_key' then u.api_key_id = b.scope_id::uuid
          when 'repository' then u.repository_id = b.scope_id::uuid
          when 'job' then u.job_id = b.scope_id::uuid
          else false
        end)
    from budgets_above(organization, scopes) b,
      lateral (select budget_period_start(b.period, b.time_zone, at) as starts, budget_period_end(b.period, b.time_zone, at) as ends) p
    on conflict do nothing;
  end if;
  return query
    select c.* from budgets_above(organization, scopes) b
    join budget_counters c on c.budget_id = b.id and c.period_start = budget_period_start(b.period, b.time_zone, at);
end $$;

-- Reserves all of these calls over all of their counters, or none of them. Answers every counter as it now stands.
-- Its commit need not reach the disk: a gateway that lives writes the call to the ledger in any case.
create function reserve_calls(holder uuid, calls jsonb, others uuid[])
  returns table (admitted boolean, counter_id uuid, is_hard boolean, limit_nano bigint, spent_nano bigint, reserved_nano bigint)
  language plpgsql as $$
declare
  ids uuid[];
  amounts bigint[];
  fits boolean;
begin
  select array_agg(a.id), array_agg(a.nano) into ids, amounts from (
    select x.id::uuid as id, sum((call ->> 'nano')::bigint)::bigint as nano
    from jsonb_array_elements(calls) as call, jsonb_array_elements_text(call -> 'counters') as x (id)
    group by x.id
  ) a;
  perform from budget_counters c where c.id = any (ids) order by c.id for update;
  select coalesce(bool_and(not b.hard or c.spent_nano_dollars + c.reserved_nano_dollars + asked.nano <= b.limit_nano_dollars), true)
    into fits
    from unnest(ids, amounts) as asked (id, nano)
    join budget_counters c on c.id = asked.id
    join budgets b on b.id = c.budget_id;
  if fits and jsonb_array_length(calls) > 0 then
    update budget_counters c set reserved_nano_dollars = c.reserved_nano_dollars + asked.nano
      from unnest(ids, amounts) as asked (id, nano) where c.id = asked.id;
    insert into reservations (id, occurred_at, organization_id, holder_id, nano_dollars, counter_ids, sent_at, facts)
      select r.id, r.at, r.organization, holder, r.nano,
        array(select jsonb_array_elements_text(r.counters)::uuid), case when r.sent then now() end, r.facts
      from jsonb_to_recordset(calls) as r (id uuid, at timestamptz, organization uuid, nano bigint, counters jsonb, sent boolean, facts jsonb);
    perform set_config('synchronous_commit', 'off', true);
  end if;
  return query
    select fits, c.id, b.hard, b.limit_nano_dollars, c.spent_nano_dollars, c.reserved_nano_dollars
    from budget_counters c join budgets b on b.id = c.budget_id
    where c.id = any (coalesce(ids, '{}') || others);
end $$;

-- Gives back what was never sent. Answers the ids that were there.
create function release_calls(ids uuid[]) returns setof uuid language plpgsql as $$
begin
  perform from budget_counters c
    where c.id in (select unnest(counter_ids) from reservations where id = any (ids)) order by c.id for update;
  return query
    with gone as (delete from reservations r where r.id = any (ids) returning r.id, r.nano_dollars, r.counter_ids),
    back as (select x.counter, sum(gone.nano_dollars) as nano from gone, unnest(gone.counter_ids) as x (counter) group by 1),
    changed as (
      update budget_counters c set reserved_nano_dollars = c.reserved_nano_dollars - back.nano from back where c.id = back.counter)
    select gone.id from gone;
end $$;

-- Writes calls to the ledger, settles their reservations and moves every counter they count in, in one step. A call
-- that is there already changes nothing.
create function settle_calls(calls jsonb) returns integer language plpgsql as $$
declare
  crossed integer;
begin
  perform pg_advisory_xact_lock_shared(budget_counters_lock());
  with inserted as (
    insert into claude_api_usage as u (occurred_at, id, organization_id, user_id, api_key_id, repository_id, job_id, execution_id,
      session_id, agent_id, parent_agent_id, operation, model, input_tokens, output_tokens, cache_read_tokens,
      cache_write_5m_tokens, cache_write_1h_tokens, web_searches, cost_nano_dollars, price_known, latency_ms, status,
      aborted, estimated, simulated, request_id, retry_count, cache_hit, saved_nano_dollars)
    select occurred_at, id, organization_id, user_id, api_key_id, repository_id, job_id, execution_id,
      session_id, agent_id, parent_agent_id, operation, model, input_tokens, output_tokens, cache_read_tokens,
      cache_write_5m_tokens, cache_write_1h_tokens, web_searches, cost_nano_dollars, price_known, latency_ms, status,
      aborted, estimated, simulated, request_id, retry_count, cache_hit, saved_nano_dollars
    from jsonb_populate_recordset(null::claude_api_usage, calls)
    on conflict do nothing
    returning u.occurred_at, u.id, u.organization_id, u.user_id, u.api_key_id, u.repository_id, u.job_id, u.cost_nano_dollars
  ),
  gone as (
    -- Also of a call that is in the ledger already: its reservation must not stay.
    delete from reservations r where r.id in (select (call ->> 'id')::uuid from jsonb_array_elements(calls) as call)
    returning r.nano_dollars, r.counter_ids
  ),
  moves as (
    select moved.counter, sum(moved.spent)::bigint as spent, sum(moved.reserved)::bigint as reserved from (
      select c.id as counter, i.cost_nano_dollars as spent, 0 as reserved
      from inserted i
      cross join lateral (values ('organization', i.organization_id), ('user', i.user_id), ('api_key', i.api_key_id),
        ('repository', i.repository_id), ('job', i.job_id)) as s (scope, id)
      join budgets b on b.organization_id = i.organization_id and b.scope = s.scope and b.scope_id = s.id::text
      join budget_counters c on c.budget_id = b.id
        and i.occurred_at >= c.period_start and (c.period_end is null or i.occurred_at < c.period_end)
      union all
      select x.counter, 0, gone.nano_dollars from gone, unnest(gone.counter_ids) as x (counter)
    ) moved group by moved.counter
  ),
  locked as (
    select c.id from budget_counters c where c.id in (select counter from moves) order by c.id for update
  ),
  changed as (
    update budget_counters c
    set spent_nano_dollars = c.spent_nano_dollars + moves.spent, reserved_nano_dollars = c.reserved_nano_dollars - moves.reserved
    from moves, locked where c.id = moves.counter and locked.id = c.id
    returning c.budget_id, c.organization_id, c.period_start, c.spent_nano_dollars
  ),
  noticed as (
    insert into budget_notices (budget_id, period_start, threshold_percent, organization_id, limit_nano_dollars, spent_nano_dollars)
    select b.id, changed.period_start, t.percent, b.organization_id, b.limit_nano_dollars, changed.spent_nano_dollars
    from changed join budgets b on b.id = changed.budget_id
    cross join lateral (select distinct percent from (values (coalesce(b.soft_percent, 80)), (100)) v (percent)) t
    where changed.spent_nano_dollars > 0 and changed.spent_nano_dollars * 100 >= b.limit_nano_dollars * t.percent
    on conflict do nothing
    returning budget_notices.budget_id
  )
  select count(pg_notify('flowforge_budget_notices', budget_id::text)) into crossed from noticed;
  return crossed;
end $$;

-- Gateways look anew at the budgets of the organization, and a job that was paused for want of money may go on.
create function budgets_changed() returns trigger language plpgsql as $$
begin
  perform pg_notify('flowforge_budgets', coalesce(new.organization_id, old.organization_id)::text);
  perform pg_notify('flowforge_admission', coalesce(new.id, old.id)::text);
  return null;
end $$;
create trigger budgets_changed after insert or update or delete on budgets for each row execute function budgets_changed();

-- The budget a job was submitted with is a budget as any other.
create function jobs_bring_budget() returns trigger language plpgsql as $$
begin
  insert into budgets (id, organization_id, scope, scope_id, period, limit_nano_dollars, hard)
  values (gen_random_uuid(), new.organization_id, 'job', new.id::text, 'total', new.budget_nano_dollars, true)
  on conflict do nothing;
  return null;
end $$;
create trigger jobs_bring_budget after insert on jobs for each row when (new.budget_nano_dollars is not null)
  execute function jobs_bring_budget();

create function budgets_reach_job() returns trigger language plpgsql as $$
begin
  update jobs set budget_nano_dollars = case when tg_op = 'DELETE' then null else new.limit_nano_dollars end
  where id = coalesce(new.scope_id, old.scope_id)::uuid
    and budget_nano_dollars is distinct from (case when tg_op = 'DELETE' then null else new.limit_nano_dollars end);
  return null;
end $$;
create trigger budgets_reach_job after insert or update on budgets for each row
  when (new.scope = 'job' and new.period = 'total') execute function budgets_reach_job();
create trigger budgets_leave_job after delete on budgets for each row
  when (old.scope = 'job' and old.period = 'total') execute function budgets_reach_job();
