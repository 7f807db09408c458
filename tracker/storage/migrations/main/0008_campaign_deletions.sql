-- Which campaigns of that name there have been: 0 the first, and one more with each that was deleted. A message and
-- its events keep the number they were made under, and are shown as long as no campaign after it was deleted.
alter table messages add column generation bigint not null default 0;

alter table events add column generation bigint not null default 0;

-- What a list of a campaign is read from: millions of events that wait to be erased do not stand in its way.
drop index events_by_campaign;

create index events_by_campaign on events (account_id, campaign, generation, id);

-- Stays for as long as there may be messages of the deleted campaign. erasing: whether rows of its events may be left.
create table campaign_deletions (
    account_id bytea not null,
    campaign text not null,
    generation bigint not null,
    erasing smallint not null,
    primary key (account_id, campaign)
);

create index campaigns_being_erased on campaign_deletions (account_id, campaign) where erasing = 1;

-- The entries of the feed that events left behind: what each number was given for.
create table erased_events (
    account_id bytea not null,
    sequence bigint not null,
    id bytea not null,
    primary key (account_id, sequence)
);

-- An event without a campaign belongs to nobody's numbers.
delete from campaign_counts where campaign = '';
