-- name: insert_message!
insert into messages
    (account_id, id, recipient_id, campaign, topic, email, external_id, metadata, opens, clicks, created_at, generation)
with made (account_id, id, address, campaign, topic, email, external_id, metadata, opens, clicks, created_at) as (
    values (
        :account_id::bytea, :id::bytea, :address::text, :campaign::text, :topic::text, :email::text,
        :external_id::text, :metadata::text, :opens::smallint, :clicks::smallint, :created_at::bigint
    )
)
select
    d.account_id, d.id, r.id, d.campaign, d.topic, d.email, d.external_id, d.metadata, d.opens, d.clicks, d.created_at,
    coalesce(gone.generation, 0)
from made d
join recipients r on r.account_id = d.account_id and r.address = d.address
left join campaign_deletions gone on gone.account_id = d.account_id and gone.campaign = d.campaign
