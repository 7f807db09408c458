-- When a person last said "no more" again, beside the row of the first time: a consent has to be younger than that too.
alter table suppressions add column repeated_at bigint;
