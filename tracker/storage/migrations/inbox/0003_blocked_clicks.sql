-- Whether the reader was told that the link is blocked, instead of being led on.
alter table journal add column blocked smallint not null default 0;
