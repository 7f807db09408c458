-- name: delete_campaign!
delete from campaigns where account_id = :account_id and name = :campaign

-- name: delete_counts!
delete from campaign_counts where account_id = :account_id and campaign = :campaign

-- name: record_deletion!
-- From here on what was made under an earlier number is shown nowhere.
insert into campaign_deletions (account_id, campaign, generation, erasing) values (:account_id, :campaign, 1, 1)
on conflict (account_id, campaign) do update set generation = campaign_deletions.generation + 1, erasing = 1
