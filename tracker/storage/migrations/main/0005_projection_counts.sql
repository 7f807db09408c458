-- What the projector made of the journal so far, for the operator: stored with each slice.
alter table projection add column events bigint not null default 0;

alter table projection add column refused bigint not null default 0;

update projection set refused = (select count(*) from refused) where name = 'journal';
