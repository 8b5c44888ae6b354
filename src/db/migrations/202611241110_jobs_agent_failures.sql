alter table jobs add column agent_failures integer not null default 0;
comment on column jobs.agent_failures is 'Tries that ended by the agent''s own failure: max_attempts counts these. Attempts also count runs that were cut off.';
