-- better-auth refuses to start when a table has a required column that it never writes. The trigger
-- team_members_organization puts the team's organization in place of this default; without it the foreign key fails.
alter table team_members alter column organization_id set default '00000000-0000-0000-0000-000000000000';
