-- The tables of people, in better-auth's shape (1.7: core, organization with teams and roles, two-factor, device
-- authorization, admin) under our names. Ids are UUIDs. Sign-in works as flowforge_auth, which sees these tables and
-- organizations, and nothing else.

-- Row-level security for a table that sign-in alone writes.
create procedure protect_sign_in_table(target regclass)
  language plpgsql as $$
begin
  execute format('alter table %s enable row level security', target);
  execute format('alter table %s force row level security', target);
  execute format('create policy auth on %s to flowforge_auth using (true) with check (true)', target);
  execute format('grant select, insert, update, delete on %s to flowforge_auth', target);
end $$;
revoke execute on procedure protect_sign_in_table(regclass) from public;
revoke execute on procedure protect_tenant_table(regclass, boolean) from public;

alter table organizations add column logo text, add column metadata text;

create table users (
  id uuid not null,
  name text not null,
  email text not null,
  email_verified boolean not null default false,
  image text,
  two_factor_enabled boolean default false,
  role text,
  banned boolean default false,
  ban_reason text,
  ban_expires timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint users_pkey primary key (id),
  constraint users_email_unique unique (email)
);
comment on column users.role is 'The role on the whole installation (admin plugin); roles in an organization are in members.';
comment on constraint users_email_unique on users is 'Who signs in with this address?';
call protect_sign_in_table('users');

create table sessions (
  id uuid not null,
  user_id uuid not null,
  token text not null,
  expires_at timestamptz not null,
  ip_address text,
  user_agent text,
  active_organization_id uuid,
  active_team_id uuid,
  impersonated_by uuid,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint sessions_pkey primary key (id),
  constraint sessions_user_fk foreign key (user_id) references users (id) on delete cascade,
  constraint sessions_token_unique unique (token)
);
comment on constraint sessions_token_unique on sessions is 'Whose session is this cookie?';
create index sessions_by_user on sessions (user_id);
comment on index sessions_by_user is 'Which sessions does this user have?';
create index sessions_expires_at on sessions (expires_at);
comment on index sessions_expires_at is 'Which sessions can be deleted?';
call protect_sign_in_table('sessions');

create table accounts (
  id uuid not null,
  user_id uuid not null,
  account_id text not null,
  provider_id text not null,
  access_token text,
  refresh_token text,
  id_token text,
  access_token_expires_at timestamptz,
  refresh_token_expires_at timestamptz,
  scope text,
  password text,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint accounts_pkey primary key (id),
  constraint accounts_user_fk foreign key (user_id) references users (id) on delete cascade,
  constraint accounts_provider_unique unique (provider_id, account_id)
);
comment on table accounts is 'How a user signs in: a password (hashed) or a provider.';
comment on constraint accounts_provider_unique on accounts is 'Which user is this account of the provider?';
create index accounts_by_user on accounts (user_id);
comment on index accounts_by_user is 'How can this user sign in?';
call protect_sign_in_table('accounts');

create table verifications (
  id uuid not null,
  identifier text not null,
  value text not null,
  expires_at timestamptz not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint verifications_pkey primary key (id)
);
create index verifications_by_identifier on verifications (identifier);
comment on index verifications_by_identifier is 'What was sent to this address or stored for this flow?';
call protect_sign_in_table('verifications');

create table two_factors (
  id uuid not null,
  user_id uuid not null,
  secret text not null,
  backup_codes text not null,
  verified boolean default true,
  failed_verification_count integer default 0,
  locked_until timestamptz,
  constraint two_factors_pkey primary key (id),
  constraint two_factors_user_fk foreign key (user_id) references users (id) on delete cascade
);
create index two_factors_by_user on two_factors (user_id);
comment on index two_factors_by_user is 'What is the second factor of this user?';
create index two_factors_by_secret on two_factors (secret);
comment on index two_factors_by_secret is 'Asked by better-auth when a factor is set up.';
call protect_sign_in_table('two_factors');

create table device_codes (
  id uuid not null,
  device_code text not null,
  user_code text not null,
  user_id uuid,
  expires_at timestamptz not null,
  status text not null,
  last_polled_at timestamptz,
  polling_interval integer,
  client_id text,
  scope text,
  constraint device_codes_pkey primary key (id),
  constraint device_codes_user_fk foreign key (user_id) references users (id) on delete cascade,
  constraint device_codes_device_code_unique unique (device_code),
  constraint device_codes_user_code_unique unique (user_code)
);
comment on constraint device_codes_device_code_unique on device_codes is 'May this command line have a session now?';
comment on constraint device_codes_user_code_unique on device_codes is 'Which command line does this person let in?';
call protect_sign_in_table('device_codes');

create table members (
  id uuid not null,
  organization_id uuid not null,
  user_id uuid not null,
  role text not null default 'member',
  created_at timestamptz not null default now(),
  constraint members_pkey primary key (id),
  constraint members_organization_fk foreign key (organization_id) references organizations (id) on delete cascade,
  constraint members_user_fk foreign key (user_id) references users (id) on delete cascade,
  constraint members_unique unique (organization_id, user_id)
);
comment on constraint members_unique on members is 'Who belongs to this organization? Is this user in it?';
create index members_by_user on members (user_id);
comment on index members_by_user is 'Which organizations is this user in?';
call protect_sign_in_table('members');
call protect_tenant_table('members', false);
grant select on members to flowforge_app;

-- Tenant work may see who its members are, and no more of them than name and address.
create policy tenant on users for select to flowforge_app using (
  exists (select from members where members.user_id = users.id and members.organization_id = current_organization())
);
grant select (id, name, email, image) on users to flowforge_app;

create table organization_roles (
  id uuid not null,
  organization_id uuid not null,
  role text not null,
  permission text not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz,
  constraint organization_roles_pkey primary key (id),
  constraint organization_roles_organization_fk foreign key (organization_id) references organizations (id) on delete cascade,
  constraint organization_roles_unique unique (organization_id, role)
);
comment on constraint organization_roles_unique on organization_roles is 'What may this role of this organization do?';
call protect_sign_in_table('organization_roles');
call protect_tenant_table('organization_roles', false);
grant select on organization_roles to flowforge_app;

create table teams (
  id uuid not null,
  organization_id uuid not null,
  name text not null,
  member_count integer not null default 0,
  created_at timestamptz not null default now(),
  updated_at timestamptz,
  constraint teams_pkey primary key (id),
  constraint teams_organization_fk foreign key (organization_id) references organizations (id) on delete cascade,
  constraint teams_organization_unique unique (organization_id, id)
);
comment on constraint teams_organization_unique on teams is 'Which teams does this organization have? Also what team_members refers to.';
call protect_sign_in_table('teams');
call protect_tenant_table('teams', false);
grant select on teams to flowforge_app;

create table team_members (
  id uuid not null,
  organization_id uuid not null,
  team_id uuid not null,
  user_id uuid not null,
  membership_key text,
  created_at timestamptz default now(),
  constraint team_members_pkey primary key (id),
  constraint team_members_team_fk foreign key (organization_id, team_id) references teams (organization_id, id) on delete cascade,
  constraint team_members_user_fk foreign key (user_id) references users (id) on delete cascade,
  constraint team_members_membership_key_unique unique (membership_key),
  constraint team_members_unique unique (team_id, user_id)
);
comment on column team_members.organization_id is 'Not in better-auth''s shape: a trigger takes it from the team.';
comment on constraint team_members_membership_key_unique on team_members is 'Asked by better-auth, so that two requests cannot add a member twice.';
comment on constraint team_members_unique on team_members is 'Who is in this team?';
create index team_members_by_user on team_members (user_id);
comment on index team_members_by_user is 'Which teams is this user in?';
call protect_sign_in_table('team_members');
call protect_tenant_table('team_members', false);
grant select on team_members to flowforge_app;

create function team_members_take_organization() returns trigger language plpgsql as $$
begin
  select organization_id into new.organization_id from teams where id = new.team_id;
  return new;
end $$;
create trigger team_members_organization before insert or update of team_id, organization_id on team_members
  for each row execute function team_members_take_organization();

create table invitations (
  id uuid not null,
  organization_id uuid not null,
  email text not null,
  role text,
  team_id text,
  status text not null default 'pending',
  expires_at timestamptz not null,
  created_at timestamptz not null default now(),
  inviter_id uuid not null,
  constraint invitations_pkey primary key (id),
  constraint invitations_organization_fk foreign key (organization_id) references organizations (id) on delete cascade,
  constraint invitations_inviter_fk foreign key (inviter_id) references users (id) on delete cascade
);
comment on column invitations.team_id is 'One team or several with commas between, as better-auth writes it.';
create index invitations_by_organization on invitations (organization_id, created_at desc);
comment on index invitations_by_organization is 'Who was invited?';
create index invitations_by_email on invitations (email);
comment on index invitations_by_email is 'What is this address invited to?';
call protect_sign_in_table('invitations');
call protect_tenant_table('invitations', false);
grant select on invitations to flowforge_app;
