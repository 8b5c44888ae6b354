-- A row may refer only to rows of its own organization. A plain foreign key looks past row-level security, so without
-- the organization in it a job could name another tenant's repository, and with it that tenant's credential.

alter table repository_credentials
  add constraint repository_credentials_organization_unique unique (organization_id, id);
comment on constraint repository_credentials_organization_unique on repository_credentials is 'What repositories refer to.';
alter table repositories
  add constraint repositories_organization_unique unique (organization_id, id),
  drop constraint repositories_credential_fk,
  add constraint repositories_credential_fk foreign key (organization_id, credential_id) references repository_credentials (organization_id, id);
comment on constraint repositories_organization_unique on repositories is 'What jobs and landings refer to.';
alter table jobs
  add constraint jobs_organization_unique unique (organization_id, id),
  drop constraint jobs_repository_fk,
  add constraint jobs_repository_fk foreign key (organization_id, repository_id) references repositories (organization_id, id),
  add constraint jobs_retry_of_fk foreign key (organization_id, retry_of) references jobs (organization_id, id);
comment on constraint jobs_organization_unique on jobs is 'What messages, checkpoints and landings refer to.';
alter table job_messages
  drop constraint job_messages_job_fk,
  add constraint job_messages_job_fk foreign key (organization_id, job_id) references jobs (organization_id, id);
alter table job_checkpoints
  drop constraint job_checkpoints_job_fk,
  add constraint job_checkpoints_job_fk foreign key (organization_id, job_id) references jobs (organization_id, id);
alter table landings
  drop constraint landings_job_fk,
  add constraint landings_job_fk foreign key (organization_id, job_id) references jobs (organization_id, id);
alter table job_tokens
  add constraint job_tokens_job_fk foreign key (organization_id, job_id) references jobs (organization_id, id) on delete cascade;
